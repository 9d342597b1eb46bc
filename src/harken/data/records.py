"""Records with their line numbers: a JSON list or JSON lines -> (line, dict) pairs, and what was left out and why.

Takes a file of unknown quality, gives every record of it either kept or rejected: kept + rejected = records, always.
Shared by the readers: the loop over a file and the checks of a field. Not taken: guessing where the next record begins
after a list breaks; what stands before the break is kept and the break itself is rejected.
"""

import json
import posixpath
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from harken.errors import DataError, short_repr
from harken.types import Question, Rejected

Record = dict[str, Any]
Reader = Callable[[Path, Path | None], tuple[list[Question], list[Rejected]]]
"""Takes a file and the folder of its clips; returns the questions of the file and the records that it rejects."""
_SPACE = " \t\r\n"


class Item(Protocol):
    """What a reader gives: a Question, or another frozen value with an id."""

    @property
    def id(self) -> str: ...


ItemT = TypeVar("ItemT", bound=Item)


class RecordError(ValueError):
    """One record that cannot be used; the message is the reason."""


def read_records(path: Path) -> tuple[list[tuple[int, Record]], list[Rejected]]:
    """Read a JSON list (the text begins with `[`) or JSON lines; lines are counted from 1.

    Raises DataError where the file cannot be read or is not UTF-8. Everything else that is wrong is a Rejected.
    """
    try:
        text = path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        bad = error.object[error.start]
        raise DataError(
            f"{path}: not UTF-8: byte 0x{bad:02x} at byte {error.start}; save the file as UTF-8, for example "
            f"`iconv -f ISO-8859-1 -t UTF-8 {path.name}`"
        ) from error
    listed = text.lstrip(_SPACE).startswith("[")
    values, rejected = _list_values(str(path), text) if listed else _line_values(str(path), text)
    records = []
    for line, value in values:
        if reason := _unusable(value):
            rejected.append(Rejected(str(path), line, "", reason))
        else:
            records.append((line, value))
    return records, sorted(rejected, key=lambda one: one.line)


def read_questions(path: Path, parse: Callable[[Record, str], ItemT]) -> tuple[list[ItemT], list[Rejected]]:
    """Parse every record of a file; `parse` takes the record and its "file:line" and may raise RecordError.

    An id that a kept question of this file has already is rejected.
    """
    records, rejected = read_records(path)
    questions: list[ItemT] = []
    first_line: dict[str, int] = {}
    for line, record in records:
        try:
            question = parse(record, f"{path}:{line}")
            if question.id in first_line:
                raise RecordError(
                    f"id {short_repr(question.id)} is taken by the record in line {first_line[question.id]}"
                )
        except RecordError as error:
            name = record.get("id", "")
            rejected.append(Rejected(str(path), line, name if isinstance(name, str) else short_repr(name), str(error)))
        else:
            first_line[question.id] = line
            questions.append(question)
    return questions, sorted(rejected, key=lambda one: one.line)


def rejection(question: Question, reason: str) -> Rejected:
    """A question that was read and is left out after all, at the place it was read from."""
    file, _, line = question.source.rpartition(":")
    return Rejected(file, int(line), question.id, reason)


def text_field(record: Record, key: str) -> str:
    """A text that must be there and say something."""
    if key not in record:
        raise RecordError(f"key {key!r} is missing")
    value = record[key]
    if not isinstance(value, str):
        raise RecordError(f"{key}: expected text, found {short_repr(value)}")
    if not value.strip():
        raise RecordError(f"{key}: empty text {short_repr(value)}")
    return value


def label_field(record: Record, *keys: str) -> str:
    """The first of `keys` that is there, as text; "" for none or null; a list of texts is joined by commas."""
    for key in keys:
        value = record.get(key)
        if isinstance(value, str):
            return value
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            return ", ".join(value)
        if value is not None:
            raise RecordError(f"{key}: expected text, found {short_repr(value)}")
    return ""


def choices_field(record: Record, key: str = "choices") -> tuple[str, ...]:
    """Two or more texts, at least two of them different, as they stand in the record."""
    if key not in record:
        raise RecordError(f"key {key!r} is missing")
    value = record[key]
    if not isinstance(value, list):
        raise RecordError(f"{key}: expected a list of texts, found {short_repr(value)}")
    for choice in value:
        if not isinstance(choice, str) or not choice.strip():
            raise RecordError(f"{key}: expected texts that are not empty, found {short_repr(choice)}")
    if len({choice.strip() for choice in value}) < 2:
        raise RecordError(f"{key}: fewer than two different choices: {short_repr(value)}")
    return tuple(value)


def find_answer(answer: str, choices: Sequence[str]) -> int | None:
    """Index of the choice with this text: first the exact text counts, then the text without spaces at its edges.

    The first such choice where several have the text; None where no choice has it.
    """
    if answer in choices:
        return choices.index(answer)
    stripped = [choice.strip() for choice in choices]
    return stripped.index(answer.strip()) if answer.strip() in stripped else None


def answer_index(answer: str, choices: Sequence[str]) -> int:
    """Index as in `find_answer`. Raises RecordError where no choice has this text."""
    index = find_answer(answer, choices)
    if index is None:
        raise RecordError(
            f"answer {short_repr(answer)} is not one of the {len(choices)} choices {short_repr(list(choices))}"
        )
    return index


def clip_path(name: object, audio_root: Path) -> Path:
    """The file a clip name means. A name may not leave `audio_root`: datasets come from strangers."""
    if not isinstance(name, str):
        raise RecordError(f"clip name: expected text, found {short_repr(name)}")
    relative = posixpath.normpath(name)
    if relative == "." or "\0" in name:
        raise RecordError(f"clip name {short_repr(name)} is not a file name")
    if posixpath.isabs(relative) or relative.split("/")[0] == "..":
        raise RecordError(f"clip name {short_repr(name)} is outside audio_root {audio_root}")
    return audio_root / relative


def _unusable(value: object) -> str | None:
    if not isinstance(value, dict):
        return f"expected a JSON object, found {short_repr(value)}"
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        return f"holds half of a surrogate pair, which is not text: {short_repr(error.object[error.start])}"
    return None


def _line_values(file: str, text: str) -> tuple[list[tuple[int, Any]], list[Rejected]]:
    values: list[tuple[int, Any]] = []
    rejected: list[Rejected] = []
    for line, content in enumerate(text.split("\n"), start=1):  # not splitlines: U+2028 may stand inside a text
        if not content.strip(_SPACE):
            continue
        try:
            values.append((line, json.loads(content)))
        except (ValueError, RecursionError) as error:
            rejected.append(Rejected(file, line, "", f"not JSON: {_fault(error)}: {short_repr(content)}"))
    return values, rejected


def _list_values(file: str, text: str) -> tuple[list[tuple[int, Any]], list[Rejected]]:
    """One value at a time, so that each has its line and a cut list keeps what stands before the cut."""
    decoder = json.JSONDecoder()
    values: list[tuple[int, Any]] = []

    def line_at(position: int) -> int:
        return text.count("\n", 0, position) + 1

    def broken(position: int, reason: str) -> tuple[list[tuple[int, Any]], list[Rejected]]:
        return values, [Rejected(file, line_at(position), "", f"{reason}; nothing after this place was read")]

    position = _skip_space(text, _skip_space(text, 0) + 1)
    line, counted = line_at(position), position
    if text[position : position + 1] == "]":
        return _after_list(file, text, position + 1, values)
    while True:
        line, counted = line + text.count("\n", counted, position), position
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            place = error.pos if isinstance(error, json.JSONDecodeError) else position
            return broken(place, f"the JSON list breaks off in the record of line {line}: {_fault(error)}")
        values.append((line, value))
        position = _skip_space(text, position)
        match text[position : position + 1]:
            case ",":
                position = _skip_space(text, position + 1)
            case "]":
                return _after_list(file, text, position + 1, values)
            case "":
                return broken(len(text.rstrip(_SPACE)), "the JSON list has no end (expected ',' or ']')")
            case other:
                return broken(position, f"the JSON list breaks off: expected ',' or ']', found {other!r}")


def _after_list(
    file: str, text: str, end: int, values: list[tuple[int, Any]]
) -> tuple[list[tuple[int, Any]], list[Rejected]]:
    first = text.count("\n", 0, end) + 1
    rest = enumerate(text[end:].split("\n"), start=first)
    reason = f"after the end of the JSON list (line {first})"
    return values, [
        Rejected(file, line, "", f"{reason}: {short_repr(left)}") for line, left in rest if left.strip(_SPACE)
    ]


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def _fault(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
