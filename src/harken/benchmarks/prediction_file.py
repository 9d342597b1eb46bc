"""Anybody's predictions for a benchmark's questions -> one text per question id, or an error that counts what is wrong.

Takes a JSON list or JSON lines: the benchmark's records with a prediction key added, bare {id, prediction} records, or
harken's own predictions.jsonl. A record without a prediction, or with null, is a missing answer: counted, and wrong.
Everything that would make the figure one of something else is refused, all of it at once and with counts: unknown ids,
two records for one question, choices or answers that differ from the benchmark's, the other MMAU version, predictions
that are no text, records that cannot be read. Not taken: scoring what remains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harken.benchmarks.airbench_records import airbench_id
from harken.benchmarks.lettered import LETTERS
from harken.benchmarks.versions import mmau_version
from harken.data.records import Record, RecordError, read_records
from harken.errors import DataError, short_repr
from harken.types import Question

KEYS = (
    *("model_output", "model_prediction"),  # MMAU's script; its README and MMAR's first script
    *("answer_prediction", "response"),  # MMAR's script; AIR-Bench and MMSU
    *("prediction", "model_response", "model_answer", "output"),  # in the wild
)
OWN_KEYS = ("completion", "choice", "reason")
"""Of harken's predictions.jsonl. Its prediction is the choice that the evaluation read, "" where it read none."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a file says.

    Attributes:
        texts: question id -> prediction.
        keys: the prediction keys found.
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
    """One record that makes the file's figure untrustworthy: the kind of fault, and what is said of this record."""

    def __init__(self, kind: str, detail: str):
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail


def read_prediction_file(path: Path, benchmark: str, items: Sequence[Question]) -> Predictions:
    """Read and check a file of predictions for `items`.

    Raises DataError that names every kind of fault with its count and its first places.
    """
    records, rejected = read_records(path)
    faults: dict[str, list[str]] = {}
    for one in rejected:
        faults.setdefault("cannot be read", []).append(f"line {one.line}: {one.reason}")
    own = bool(records) and all(key in record for _, record in records for key in OWN_KEYS)
    questions, short_ids = {question.id: question for question in items}, _short_ids(benchmark, items)
    found: dict[str, Mapping[str, str | None]] = {}
    first_line: dict[str, int] = {}
    for line, record in records:
        try:
            identifier = _identifier(record, questions, short_ids)
            if identifier in first_line:
                raise _FaultError("repeat an id", f"{short_repr(identifier)}, first in line {first_line[identifier]}")
            first_line[identifier] = line
            _same_question(record, questions[identifier], own)
            found[identifier] = _own_choice(record) if own else _predictions(record)
        except _FaultError as fault:
            faults.setdefault(fault.kind, []).append(f"line {line}: {fault.detail}")
    lines = _other_version(items, records) if benchmark == "mmau" else []
    lines += [f"{len(all_)} {kind}: {'; '.join(all_[:3])}{'; ...' * (len(all_) > 3)}" for kind, all_ in faults.items()]
    if found and not any(found.values()):
        keys = ", ".join(map(short_repr, records[0][1]))
        lines.append(f"none has a prediction key: the first one's keys are {keys}; known are {', '.join(KEYS)}")
    if lines:
        raise DataError(
            f"{path}: cannot be scored. Of {len(records) + len(rejected)} records\n"
            + "".join(f"  {line}\n" for line in lines)
            + "Score it with the benchmark file that the predictions were made from, one record for each of its ids."
        )
    said = {identifier: _one_text(values) for identifier, values in found.items()}
    return Predictions(
        texts={identifier: text for identifier, text in said.items() if text is not None},
        keys=tuple(sorted({key for values in found.values() for key in values})),
        own=own,
        records=len(records),
        without_key=sum(not values for values in found.values()),
        null=sum(bool(found[identifier]) and text is None for identifier, text in said.items()),
    )


def _other_version(items: Sequence[Question], records: Sequence[tuple[int, Record]]) -> list[str]:
    expected = mmau_version((question.id, question.choices) for question in items)
    stated = ((record.get("id"), record.get("choices")) for _, record in records)
    found = mmau_version((name, _texts(choices)) for name, choices in stated if isinstance(name, str))
    if "unknown" in (expected, found) or expected == found:
        return []
    what = "both MMAU versions mixed" if found == "mixed" else f"MMAU {found}"
    return [f"are of {what}, and the benchmark file is MMAU {expected}: two benchmarks, never mixed"]


def _short_ids(benchmark: str, items: Sequence[Question]) -> Mapping[str, str]:
    """AIR-Bench's uniq_id alone -> the question's id, where only one question has it."""
    if benchmark != "airbench":
        return {}
    places: dict[str, list[str]] = {}
    for question in items:
        places.setdefault(question.id.rpartition("/")[2], []).append(question.id)
    return {short: ids[0] for short, ids in places.items() if len(ids) == 1}


def _identifier(record: Record, questions: Mapping[str, Question], short_ids: Mapping[str, str]) -> str:
    value = record.get("id", record.get("uniq_id"))
    if "id" not in record and "task_name" in record:
        try:
            value = airbench_id(record)
        except RecordError as error:
            raise _FaultError("have no id", str(error)) from error
    name = str(value) if type(value) is int else value
    if not isinstance(name, str):
        raise _FaultError("have no id", f"expected text under 'id', found {short_repr(value)}")
    name = name if name in questions else short_ids.get(name, name)
    if name not in questions:
        raise _FaultError("have an id that the benchmark file has not", short_repr(name))
    return name


def _same_question(record: Record, question: Question, own: bool) -> None:
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
            f"{short_repr(question.id)}: choices {short_repr(choices)}, there {short_repr(list(question.choices))}",
        )
    answer = record.get("answer", record.get("answer_gt"))
    right = question.answer_text if question.answer is None else question.choices[question.answer]
    if answer is not None and right and str(answer).strip() != right.strip():
        raise _FaultError(kind, f"{short_repr(question.id)}: answer {short_repr(answer)}, there {short_repr(right)}")


def _texts(choices: object) -> list[str] | None:
    """Choices as readers keep them, without spaces at their edges and empty ones; None for anything but texts."""
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        return None
    return [choice.strip() for choice in choices if choice]


def _own_choice(record: Record) -> Mapping[str, str | None]:
    choice = record["choice"]
    if choice is not None and not isinstance(choice, str):
        raise _FaultError("have a prediction that is no text", f"choice: {short_repr(choice)}")
    return {"choice": choice or ""}


def _predictions(record: Record) -> Mapping[str, str | None]:
    found = {key: record[key] for key in KEYS if key in record}
    for key, value in found.items():
        if value is not None and not isinstance(value, str):
            raise _FaultError("have a prediction that is no text", f"{key}: {short_repr(value)}")
    if len({value for value in found.values() if value is not None}) > 1:
        raise _FaultError("have different texts under two prediction keys", ", ".join(found))
    return found


def _one_text(values: Mapping[str, str | None]) -> str | None:
    return next((text for text in values.values() if text is not None), None)
