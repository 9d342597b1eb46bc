"""`harken score`: scores a file of predictions for a benchmark's file, or writes them as a submission.

The results are dictionaries for JSON that say what they are of: benchmark, version, files, and which text the official
rule got. No audio is needed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harken.benchmarks.base import Benchmark
from harken.benchmarks.registry import find_benchmark
from harken.data.records import read_records
from harken.errors import DataError
from harken.results.prediction_file import Predictions, read_prediction_file
from harken.results.score import score
from harken.system.files import write_json
from harken.types import Question


def score_file(name: str, data: Path, predictions: Path, *, letters_shown: bool | None = None) -> dict[str, Any]:
    """Score a file of predictions for the benchmark called `name`; keys as in `score`, and what the figures are of.

    Raises ConfigError for an unknown benchmark, and DataError for a benchmark file or predictions that cannot be
    trusted, with counts.
    """
    benchmark = find_benchmark(name)
    questions = read_benchmark(benchmark, data)
    read = read_prediction_file(predictions, benchmark, questions)
    return {
        **_heading(benchmark, data, predictions, questions, read),
        "official_input": "bare choice" if read.own else "text as given",
        "letters_shown": benchmark.reads_letters if letters_shown is None else letters_shown,
        **score(benchmark, questions, read.texts, letters_shown=letters_shown, bare=read.own),
    }


def write_submission(name: str, data: Path, predictions: Path, out: Path) -> dict[str, Any]:
    """Write the benchmark's records with the predictions in them, as its own server wants them.

    A question without a prediction gets "", so that the server counts it. Answers may be hidden. Returns what was
    written. Raises as `score_file` does, and DataError for a benchmark that has no submission file.
    """
    benchmark = find_benchmark(name)
    if benchmark.submission is None:
        raise DataError(f"{benchmark.name}: {benchmark.title} has no submission file; leave out --submission")
    questions = read_benchmark(benchmark, data)
    read = read_prediction_file(predictions, benchmark, questions)
    records, _ = read_records(data)
    filled = [
        benchmark.submission(record, read.texts.get(question.id, ""))
        for (_, record), question in zip(records, questions, strict=True)
    ]
    write_json(out, filled)
    counts = {"n": len(questions), "n_missing": len(questions) - len(read.texts)}
    return {**_heading(benchmark, data, predictions, questions, read), **counts, "submission": str(out)}


def read_benchmark(benchmark: Benchmark, data: Path) -> list[Question]:
    """Every question of a published file.

    Raises DataError where a record cannot be used, where there is none, or where the file mixes versions: a figure over
    the rest would be the figure of another benchmark.
    """
    questions, rejected = benchmark.read(data)
    if rejected:
        first = "; ".join(f"line {record.line}: {record.reason}" for record in rejected[:3])
        raise DataError(
            f"{data}: {len(rejected)} of {len(questions) + len(rejected)} records cannot be used as {benchmark.name}: "
            f"{first}{'; ...' if len(rejected) > 3 else ''}\nGive the file as the benchmark publishes it."
        )
    if not questions:
        raise DataError(f"{data}: holds no records; give the file as {benchmark.title} publishes it")
    if _version(benchmark, questions) == "mixed":
        raise DataError(f"{data}: holds records of two versions of {benchmark.title}: two benchmarks, never mixed")
    return questions


def _version(benchmark: Benchmark, questions: Sequence[Question]) -> str:
    return benchmark.version((question.id, question.choices) for question in questions)


def _heading(
    benchmark: Benchmark, data: Path, predictions: Path, questions: Sequence[Question], read: Predictions
) -> dict[str, Any]:
    """Which benchmark, which version ("" where the benchmark has only one), which files."""
    return {
        "benchmark": benchmark.name,
        "version": _version(benchmark, questions),
        "data": str(data),
        "predictions": str(predictions),
        "prediction_keys": list(read.keys),
        "n_records": read.records,
        "n_without_prediction_key": read.without_key,
        "n_null": read.null,
    }
