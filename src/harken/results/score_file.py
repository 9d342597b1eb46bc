"""`harken score`: scores a file of predictions for a benchmark's file, or writes them as a submission.

The results are dictionaries for JSON that say what they are of: benchmark, version, files, and which text the official
rule got. No audio is needed.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from harken.benchmarks.base import Benchmark
from harken.benchmarks.published_states import Recognised
from harken.benchmarks.registry import find_benchmark
from harken.data.records import Record, read_records
from harken.errors import DataError
from harken.results.prediction_file import Predictions, read_prediction_file
from harken.results.score import score
from harken.results.stated_items import AnswersOf, as_stated
from harken.system.files import write_json, write_text
from harken.system.import_object import import_function
from harken.types import Question

AskJudge = Callable[[Sequence[Question], Mapping[str, str]], tuple[Mapping[str, bool], int]]
"""Questions and predictions by id -> whether each means the right choice, by id, and how many calls failed."""


def score_file(
    name: str,
    data: Path,
    predictions: Path,
    *,
    letters_shown: bool | None = None,
    key: str | None = None,
    answers: AnswersOf = "benchmark",
    ask_judge: AskJudge | None = None,
    rule: str | None = None,
) -> dict[str, Any]:
    """Score a file of predictions for the benchmark called `name`; keys as in `score`, and what the figures are of.

    Args:
        key: the key that holds the predictions; default: the benchmark's own, where the file has it.
        answers: whose answers count where the predictions state others than the benchmark file.
        ask_judge: asks a judge about the predictions; then the figures have its column, and `n_judge_failed` counts the
            calls that failed.
        rule: `module:function` in place of the benchmark's official rule.

    Raises ConfigError for an unknown benchmark or rule, and DataError for a benchmark file or predictions that cannot
    be trusted, with counts.
    """
    benchmark = find_benchmark(name)
    if rule is not None:
        benchmark = replace(benchmark, official_rule=import_function(rule, "rule", "rule"), undecided="")
    published = read_benchmark(benchmark, data)
    read = read_prediction_file(predictions, benchmark, published.questions, data, key)
    questions = [
        as_stated(question, read.differences.get(question.id, ()), answers) for question in published.questions
    ]
    bare = read.own or read.program != ""
    if read.program and letters_shown is None:
        letters_shown = True
    judged, n_failed = (None, None) if ask_judge is None else ask_judge(questions, read.texts)
    try:
        figures = score(benchmark, questions, read.texts, letters_shown=letters_shown, bare=bare, judged=judged)
    except DataError as error:  # of the questions, which are those of the benchmark file
        raise DataError(f"{data}: {error}") from error
    return {
        **_heading(benchmark, data, predictions, published, read),
        **({} if n_failed is None else {"n_judge_failed": n_failed}),
        "answers_of": answers,
        **({} if rule is None else {"rule": rule}),
        "undecided": benchmark.undecided,
        "official_input": "bare choice" if bare else "text as given",
        "letters_shown": benchmark.reads_letters if letters_shown is None else letters_shown,
        **figures,
    }


def write_submission(name: str, data: Path, predictions: Path, out: Path, key: str | None = None) -> dict[str, Any]:
    """Write the benchmark's records with the predictions in them, as its own server wants them.

    A question without a prediction gets "", so that the server counts it. Answers may be hidden. Returns what was
    written. Raises as `score_file` does, and DataError for a benchmark that has no submission file.
    """
    benchmark = find_benchmark(name)
    if benchmark.submission is None:
        raise DataError(f"{benchmark.name}: {benchmark.title} has no submission file; leave out --submission")
    published = read_benchmark(benchmark, data)
    read = read_prediction_file(predictions, benchmark, published.questions, data, key)
    records, _ = read_records(data)
    ids = [benchmark.parse(record, data.parent, f"{data}:{line}").id for line, _, record in records]
    filled = [
        benchmark.submission(record, read.texts.get(identifier, ""))
        for (_, _, record), identifier in zip(records, ids, strict=True)
    ]
    if benchmark.submission_file == "csv":
        write_text(out, _table(filled))
    else:
        write_json(out, filled)
    n = len(published.questions)
    counts = {"n": n, "n_missing": n - len(read.texts)}
    return {**_heading(benchmark, data, predictions, published, read), **counts, "submission": str(out)}


def _table(records: Sequence[Record]) -> str:
    """Records with the same keys as comma-separated values."""
    written = io.StringIO()
    writer = csv.DictWriter(written, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return written.getvalue()


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A benchmark's file.

    Attributes:
        questions: each once.
        repeats: ids of records that repeat an earlier record; they are not counted again.
        recognised: which published state of the benchmark the file is.
    """

    questions: list[Question]
    repeats: list[str]
    recognised: Recognised


def read_benchmark(benchmark: Benchmark, data: Path) -> PublishedFile:
    """Every question of a published file.

    Raises DataError where a record cannot be used, where there is none, or where the file is close to no published
    state: a figure over the rest would be the figure of another benchmark.
    """
    questions, rejected = benchmark.read(data)
    unusable = [record for record in rejected if not record.repeated]
    if unusable:
        first = "; ".join(f"line {record.line}: {record.reason}" for record in unusable[:3])
        raise DataError(
            f"{data}: {len(unusable)} of {len(questions) + len(rejected)} records cannot be used as {benchmark.name}: "
            f"{first}{'; ...' if len(unusable) > 3 else ''}\nGive the file as the benchmark publishes it."
        )
    if not questions:
        raise DataError(f"{data}: holds no records; give the file as {benchmark.title} publishes it")
    recognised = benchmark.recognise_questions(questions)
    if recognised.version == "mixed":
        raise DataError(
            f"{data}: is close to no published state of {benchmark.title}: that of {recognised.state} has "
            f"{recognised.n_agree} of its {recognised.n} records. It may hold records of two versions: two benchmarks, "
            "never mixed"
        )
    return PublishedFile(questions, [record.id for record in rejected], recognised)


def _heading(
    benchmark: Benchmark, data: Path, predictions: Path, published: PublishedFile, read: Predictions
) -> dict[str, Any]:
    """Which benchmark, which version ("" where the benchmark has only one) and state, which files, and what is unusual
    about them."""
    recognised = published.recognised
    differing = [difference for items in read.differences.values() for difference in items]
    return {
        "benchmark": benchmark.name,
        "version": recognised.version,
        "state": {
            "published": recognised.state,
            "n_agree": recognised.n_agree,
            "n": recognised.n,
            "differing": list(recognised.differing),
        },
        "data": str(data),
        "predictions": str(predictions),
        **({"log_of": read.program} if read.program else {}),
        "prediction_keys": list(read.keys),
        "other_prediction_keys": dict(read.other_keys),
        "n_records": read.records,
        "n_without_prediction_key": read.without_key,
        "n_null": read.null,
        "repeated_records": published.repeats,
        "repeated_predictions": [asdict(repeat) for repeat in read.repeats],
        "differing_items": [asdict(difference) for difference in differing],
    }
