"""Reads files of records, a JSON list or JSON lines, with the line of each record.

The files come from strangers. Every record is either kept or rejected with its line and reason. Where a JSON list
breaks off, the records before the break are kept and the break itself is rejected.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, replace
from itertools import chain, pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from harken.data.json_values import JsonValue, json_values
from harken.errors import DataError, HarkenError, raised, short_repr
from harken.system.json_text import half_surrogate
from harken.types import Question, Rejected

T = TypeVar("T")
Record = dict[str, Any]
Reader = Callable[[Path, Path | None], tuple[list[Question], list[Rejected]]]
"""Takes a file and the folder of its clips; returns the questions of the file and the records that it rejects."""


class NumberedRecord(NamedTuple):
    """A record, its line, counted from 1, and what messages about it begin with: "record 3: ", counted in the whole
    file, where several records stand in one line, and "" elsewhere."""

    line: int
    which: str
    record: Record


class RecordError(ValueError):
    """A record that cannot be used; the message is the reason."""


class _ReadRecord(dict[str, Any]):
    """A record that knows which of its columns were read, so that the others can be kept beside the question."""

    def __init__(self, record: Record) -> None:
        super().__init__(record)
        self._read: set[object] = set()

    def __getitem__(self, key: str) -> Any:
        self._read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._read.add(key)
        return super().get(key, default)

    @property
    def others(self) -> Record:
        return {key: value for key, value in self.items() if key not in self._read}


def iter_records(path: Path) -> Iterator[NumberedRecord | Rejected]:
    """Yield the records of a JSON list (the text begins with `[`) or of JSON lines, and those that are rejected, in
    their order. Little of the file is in memory.

    Raises DataError where the file cannot be read or is not UTF-8; everything else that is wrong is a Rejected.
    """
    number = 0
    for value, shares_line in _with_neighbours(json_values(path)):
        if isinstance(value, Rejected):
            yield value
            continue
        number += 1
        which = f"record {number}: " if shares_line else ""
        if reason := _unusable(value):
            yield Rejected(str(path), value.line, "", which + reason)
        else:
            yield NumberedRecord(value.line, which, value.value)


def read_records(path: Path) -> tuple[list[NumberedRecord], list[Rejected]]:
    """All records of `iter_records`, and all rejected ones."""
    return apart(iter_records(path))


def apart(outcomes: Iterable[T | Rejected]) -> tuple[list[T], list[Rejected]]:
    """What can be used, such as records or questions, and what was rejected, each in order."""
    usable: list[T] = []
    rejected: list[Rejected] = []
    for outcome in outcomes:
        if isinstance(outcome, Rejected):
            rejected.append(outcome)
        else:
            usable.append(outcome)
    return usable, rejected


def iter_questions(path: Path, parse: Callable[[Record, str], Question]) -> Iterator[Question | Rejected]:
    """Turn every record of a file into a question. A record whose id an earlier question has is rejected, as `repeated`
    where it is that question again. Memory holds the ids alone.

    Args:
        parse: takes a record and its "file:line"; returns the question, or raises RecordError with the reason. The
            columns that it does not read become the question's `extra`, unless it sets `extra` itself.

    Raises DataError, with the place of the record, where `parse` raises anything else or returns no question.
    """
    seen = _SeenQuestions()
    for record in iter_records(path):
        if isinstance(record, Rejected):
            yield record
            continue
        line, which, raw = record
        question, repeated = None, False
        try:
            question = _parsed(parse, raw, f"{path}:{line}", which)
            if (place := seen.place_of(question)) is not None:
                repeated = seen.repeats(question)
                raise RecordError(f"id {short_repr(question.id)} is taken by the record in {place}")
        except RecordError as error:
            name = question.id if question is not None and repeated else raw.get("id", "")
            shown = name if isinstance(name, str) else short_repr(name)
            yield Rejected(str(path), line, shown, f"{which}{error}", repeated)
        else:
            seen.add(question, record)
            yield question


class _SeenQuestions:
    """The ids of questions, with the place and a hash of each: about 200 bytes a question."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}
        self._lines, self._numbers, self._hashes = array("Q"), array("Q"), array("q")

    def place_of(self, question: Question) -> str | None:
        """The place of the question with this id, None where there is none."""
        index = self._index.get(question.id)
        if index is None:
            return None
        number = self._numbers[index]
        return f"line {self._lines[index]}" + (f" (record {number})" if number else "")

    def repeats(self, question: Question) -> bool:
        """Whether the question with this id is the same one, wherever both stand."""
        return self._hashes[self._index[question.id]] == _content_hash(question)

    def add(self, question: Question, record: NumberedRecord) -> None:
        self._index[question.id] = len(self._lines)
        self._lines.append(record.line)
        self._numbers.append(int(record.which[len("record ") : -len(": ")] or 0))
        self._hashes.append(_content_hash(question))


_CONTENT = attrgetter(*(field.name for field in fields(Question) if field.compare and field.name != "source"))


def _content_hash(question: Question) -> int:
    try:
        return hash(_CONTENT(question))
    except TypeError:  # a parser of the user's own may give lists
        return hash(repr(_CONTENT(question)))


def _parsed(parse: Callable[[Record, str], Question], record: Record, source: str, which: str) -> Question:
    columns = _ReadRecord(record)
    try:
        question = parse(columns, source)
    except (RecordError, HarkenError):
        raise
    except Exception as error:
        raise DataError(
            f"{source}: {which}the function that parses records raised {raised(error)}; correct it, or let it raise "
            "RecordError with the reason where the record is at fault"
        ) from error
    if not isinstance(question, Question):
        raise DataError(
            f"{source}: {which}the function that parses records returned {short_repr(question)}, no Question"
        )
    if question.answer is not None and not 0 <= question.answer < len(question.choices):
        raise RecordError(f"answer {question.answer} is no index of {len(question.choices)} choices")
    return question if question.extra or not columns.others else replace(question, extra=columns.others)


class Placed(Protocol):
    """Something that was made of a record: its id, and the record's place, "file:line"."""

    @property
    def id(self) -> str: ...
    @property
    def source(self) -> str: ...


def rejection(item: Placed, reason: str) -> Rejected:
    """The rejection of a record that was read without a fault and cannot be used for another reason."""
    file, _, line = item.source.rpartition(":")
    return Rejected(file, int(line), item.id, reason)


def _with_neighbours(values: Iterable[JsonValue | Rejected]) -> Iterator[tuple[JsonValue | Rejected, bool]]:
    """Each value, and whether another value stands in the same line."""
    previous = 0
    for value, following in pairwise(chain(values, [None])):
        assert value is not None
        next_line = following.line if isinstance(following, JsonValue) else 0
        yield value, value.line in (previous, next_line)
        previous = value.line if isinstance(value, JsonValue) else previous


def _unusable(value: JsonValue) -> str | None:
    if not isinstance(value.value, dict):
        return f"expected a JSON object, found {short_repr(value.value)}"
    half = half_surrogate(value.value) if value.has_escape else None  # nothing but an escape makes one
    return None if half is None else f"holds half of a surrogate pair, which is not text: {short_repr(half)}"
