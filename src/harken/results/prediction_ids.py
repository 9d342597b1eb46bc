"""Finds the question that a record of predictions is about."""

from collections.abc import Mapping, Sequence

from harken.benchmarks.base import Benchmark
from harken.data.records import Record, RecordError
from harken.errors import DataError, HarkenError, raised, short_repr
from harken.types import Question


class FaultError(Exception):
    """One record that makes the file's figure untrustworthy: the kind of fault, and the details of this record."""

    def __init__(self, kind: str, detail: str):
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail


def short_ids(benchmark: Benchmark, questions: Sequence[Question]) -> Mapping[str, str]:
    """Short id -> the question's id, where only one question has it."""
    if benchmark.short_id is None:
        return {}
    ids: dict[str, list[str]] = {}
    for question in questions:
        ids.setdefault(benchmark.short_id(question), []).append(question.id)
    return {short: full[0] for short, full in ids.items() if len(full) == 1}


def stated_id(record: Record, benchmark: Benchmark, place: str) -> object:
    """The id that the benchmark finds in a record of predictions, or what stands under `id` where it finds none."""
    try:
        value = benchmark.prediction_id(record)
    except RecordError as error:
        raise FaultError("have no id", str(error)) from error
    except HarkenError:
        raise
    except Exception as error:
        raise DataError(f"{place}prediction_id of {benchmark.name} raised {raised(error)}") from error
    return record.get("id") if value is None else value


def known_id(value: object, questions: Mapping[str, Question], short_ids: Mapping[str, str]) -> str:
    """The id of the question that a value names. Raises FaultError where it names none."""
    name = str(value) if type(value) is int else value
    if not isinstance(name, str):
        raise FaultError("have no id", f"expected text under 'id', found {short_repr(value)}")
    name = name if name in questions else short_ids.get(name, name)
    if name not in questions:
        raise FaultError("have an id that the benchmark file does not have", short_repr(name))
    return name
