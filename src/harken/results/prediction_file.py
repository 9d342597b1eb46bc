"""Reads anybody's predictions for the questions of a benchmark: one text for each question id.

The file is a JSON list or JSON lines of the benchmark's records with a prediction added, of bare {id, prediction}
records, or of harken's own predictions.jsonl. A question without a record, without a prediction or with null counts as
a missing answer. A file whose figure would be the figure of something else is refused, with every kind of fault and its
count: unknown ids, two records for one question, other choices or answers than the benchmark's, another version of the
benchmark, predictions that are not text, records that cannot be read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harken.benchmarks import BENCHMARKS
from harken.benchmarks.base import Benchmark, right_text
from harken.benchmarks.lettered import LETTERS
from harken.benchmarks.registry import find_benchmark
from harken.data.records import Record, RecordError, read_numbered_records
from harken.errors import DataError, HarkenError, raised, short_repr
from harken.types import Question

COMMON_KEYS = ("prediction", "model_response", "model_answer", "output")
"""Keys of predictions that no official script reads and that people use."""
OWN_KEYS = ("completion", "choice", "reason")
"""Keys of harken's predictions.jsonl. Its prediction is the choice that the evaluation read, "" where it read none."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a file holds.

    Attributes:
        texts: question id -> prediction.
        keys: the prediction keys that the file uses.
        own: whether it is harken's predictions.jsonl.
        records: their number; of these `without_key` have no prediction key and `null` have null there.
    """

    texts: Mapping[str, str]
    keys: tuple[str, ...]
    own: bool
    records: int
    without_key: int
    null: int


class _FaultError(Exception):
    """One record that makes the file's figure untrustworthy: the kind of fault, and the details of this record."""

    def __init__(self, kind: str, detail: str):
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail


def prediction_keys(benchmark: Benchmark) -> tuple[str, ...]:
    """The keys under which a prediction may stand: those of the official scripts, then COMMON_KEYS.

    The keys of all benchmarks are read for each of them: people write one benchmark's key into another's file.
    """
    scripts = [benchmark, *map(find_benchmark, BENCHMARKS)]
    return tuple(dict.fromkeys([*(key for script in scripts for key in script.prediction_keys), *COMMON_KEYS]))


def read_prediction_file(path: Path, benchmark: Benchmark, questions: Sequence[Question]) -> Predictions:
    """Read and check a file of predictions for `questions`.

    Raises DataError that names every kind of fault with its count and its first places.
    """
    records, rejected = read_numbered_records(path)
    faults: dict[str, list[str]] = {}
    for record in rejected:
        faults.setdefault("cannot be read", []).append(f"line {record.line}: {record.reason}")
    own = bool(records) and all(key in record for _, _, record in records for key in OWN_KEYS)
    keys = prediction_keys(benchmark)
    values, faults_of_records = _values(path, records, benchmark, questions, keys, own=own)
    faults |= faults_of_records
    lines = _other_version(benchmark, questions, [record for _, _, record in records])
    lines += [
        f"{len(details)} {kind}: {'; '.join(details[:3])}{'; ...' * (len(details) > 3)}"
        for kind, details in faults.items()
    ]
    if values and not any(values.values()):
        first = ", ".join(map(short_repr, records[0][2]))
        lines.append(f"none has a prediction key: the first one's keys are {first}; known are {', '.join(keys)}")
    if lines:
        raise DataError(
            f"{path}: cannot be scored. Of {len(records) + len(rejected)} records\n"
            + "".join(f"  {line}\n" for line in lines)
            + "Score it with the benchmark file that the predictions were made from, one record for each of its ids."
        )
    texts = {identifier: _first_text(by_key) for identifier, by_key in values.items()}
    return Predictions(
        texts={identifier: text for identifier, text in texts.items() if text is not None},
        keys=tuple(sorted({key for by_key in values.values() for key in by_key})),
        own=own,
        records=len(records),
        without_key=sum(not by_key for by_key in values.values()),
        null=sum(bool(values[identifier]) and text is None for identifier, text in texts.items()),
    )


def _values(
    path: Path,
    records: Sequence[tuple[int, str, Record]],
    benchmark: Benchmark,
    questions: Sequence[Question],
    keys: Sequence[str],
    *,
    own: bool,
) -> tuple[dict[str, Mapping[str, str | None]], dict[str, list[str]]]:
    """(question id -> the predictions of its record by key, kind of fault -> the records that have it)."""
    by_id, short_ids = {question.id: question for question in questions}, _short_ids(benchmark, questions)
    values: dict[str, Mapping[str, str | None]] = {}
    faults: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    for line, which, record in records:
        try:
            stated = record.get("id") if own else _stated_id(record, benchmark, f"{path}:{line}: {which}")
            identifier = _identifier(stated, by_id, short_ids)
            if identifier in first:
                raise _FaultError("repeat an id", f"{short_repr(identifier)}, first in {first[identifier]}")
            first[identifier] = f"line {line}{which and f' ({which[:-2]})'}"
            _check_same_question(record, by_id[identifier], own=own)
            values[identifier] = _own_choice(record) if own else _predictions(record, keys)
        except _FaultError as fault:
            faults.setdefault(fault.kind, []).append(f"line {line}: {which}{fault.detail}")
    return values, faults


def _other_version(benchmark: Benchmark, questions: Sequence[Question], records: Sequence[Record]) -> list[str]:
    """One fault where the predictions are for another version of the benchmark; none otherwise."""
    expected = benchmark.version((question.id, question.choices) for question in questions)
    stated = ((record.get("id"), record.get("choices")) for record in records)
    version = benchmark.version(
        (identifier, _texts(choices)) for identifier, choices in stated if isinstance(identifier, str)
    )
    if "unknown" in (expected, version) or expected == version:
        return []
    title = benchmark.title
    origin = f"two versions of {title} mixed" if version == "mixed" else f"{title} {version}"
    return [f"are of {origin}, and the benchmark file is {title} {expected}: two benchmarks, never mixed"]


def _short_ids(benchmark: Benchmark, questions: Sequence[Question]) -> Mapping[str, str]:
    """Short id -> the question's id, where only one question has it."""
    if benchmark.short_id is None:
        return {}
    ids: dict[str, list[str]] = {}
    for question in questions:
        ids.setdefault(benchmark.short_id(question), []).append(question.id)
    return {short: full[0] for short, full in ids.items() if len(full) == 1}


def _stated_id(record: Record, benchmark: Benchmark, place: str) -> object:
    """The id that the benchmark finds in a record of predictions, or what stands under `id` where it finds none."""
    try:
        value = benchmark.prediction_id(record)
    except RecordError as error:
        raise _FaultError("have no id", str(error)) from error
    except HarkenError:
        raise
    except Exception as error:
        raise DataError(f"{place}prediction_id of {benchmark.name} raised {raised(error)}") from error
    return record.get("id") if value is None else value


def _identifier(value: object, questions: Mapping[str, Question], short_ids: Mapping[str, str]) -> str:
    name = str(value) if type(value) is int else value
    if not isinstance(name, str):
        raise _FaultError("have no id", f"expected text under 'id', found {short_repr(value)}")
    name = name if name in questions else short_ids.get(name, name)
    if name not in questions:
        raise _FaultError("have an id that the benchmark file does not have", short_repr(name))
    return name


def _check_same_question(record: Record, question: Question, *, own: bool) -> None:
    """Raise where the record states other choices, another order of them, or another answer than the benchmark."""
    kind = "state other choices or another answer than the benchmark file"
    choices: object = record.get("choices")
    if choices is None and "choice_a" in record:
        lettered = [record.get(f"choice_{letter.lower()}") for letter in LETTERS]
        choices = [str(choice) for choice in lettered if choice not in (None, "")]
    rejected = own and choices == []  # a record that the evaluation could not use
    if choices is not None and not rejected and _texts(choices) != list(question.choices):
        raise _FaultError(
            kind,
            f"{short_repr(question.id)}: choices {short_repr(choices)}, "
            f"in the benchmark {short_repr(list(question.choices))}",
        )
    answer = record.get("answer", record.get("answer_gt"))
    if answer is None or (question.answer is None and not question.answer_text):
        return
    right = right_text(question)
    if str(answer).strip() != right.strip():
        raise _FaultError(
            kind, f"{short_repr(question.id)}: answer {short_repr(answer)}, in the benchmark {short_repr(right)}"
        )


def _texts(choices: object) -> list[str] | None:
    """Choices as readers keep them, without spaces at their edges and empty ones; None for anything but texts."""
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        return None
    return [choice.strip() for choice in choices if choice]


def _own_choice(record: Record) -> Mapping[str, str | None]:
    choice = record["choice"]
    if choice is not None and not isinstance(choice, str):
        raise _FaultError("have a prediction that is not text", f"choice: {short_repr(choice)}")
    return {"choice": choice or ""}


def _predictions(record: Record, keys: Sequence[str]) -> Mapping[str, str | None]:
    """The predictions of a record by key: none, or several that are the same text or null."""
    values = {key: record[key] for key in keys if key in record}
    for key, value in values.items():
        if value is not None and not isinstance(value, str):
            raise _FaultError("have a prediction that is not text", f"{key}: {short_repr(value)}")
    if len({value for value in values.values() if value is not None}) > 1:
        raise _FaultError("have different texts under two prediction keys", ", ".join(values))
    return values


def _first_text(by_key: Mapping[str, str | None]) -> str | None:
    return next((text for text in by_key.values() if text is not None), None)
