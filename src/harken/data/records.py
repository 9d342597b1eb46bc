"""Reads files of records, a JSON list or JSON lines, with the line of each record.

The files come from strangers. Every record is either kept or rejected with its line and reason. Where a JSON list
breaks off, the records before the break are kept and the break itself is rejected.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from harken.errors import DataError, HarkenError, raised, short_repr
from harken.types import Question, Rejected

Record = dict[str, Any]
Reader = Callable[[Path, Path | None], tuple[list[Question], list[Rejected]]]
"""Takes a file and the folder of its clips; returns the questions of the file and the records that it rejects."""
_SPACE = " \t\r\n"


class RecordError(ValueError):
    """A record that cannot be used; the message is the reason."""


def read_records(path: Path) -> tuple[list[tuple[int, Record]], list[Rejected]]:
    """(line, record) pairs, and rejected records, as `read_numbered_records` reads them."""
    records, rejected = read_numbered_records(path)
    return [(line, record) for line, _, record in records], rejected


def read_numbered_records(path: Path) -> tuple[list[tuple[int, str, Record]], list[Rejected]]:
    """Records of a JSON list (the text begins with `[`) or of JSON lines, and those that are rejected.

    A record has its line, counted from 1, and what messages about it begin with: "record 3: ", counted in the whole
    file, where several records stand in one line, and "" elsewhere. Raises DataError where the file cannot be read or
    is not UTF-8; everything else that is wrong is a Rejected.
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
    in_line = Counter(line for line, _ in values)
    records = []
    for number, (line, value) in enumerate(values, start=1):
        which = f"record {number}: " if in_line[line] > 1 else ""
        if reason := _unusable(value):
            rejected.append(Rejected(str(path), line, "", which + reason))
        else:
            records.append((line, which, value))
    return records, sorted(rejected, key=lambda record: record.line)


def read_questions(path: Path, parse: Callable[[Record, str], Question]) -> tuple[list[Question], list[Rejected]]:
    """Turn every record of a file into a question. A record whose id an earlier question has is rejected, as `repeated`
    where it is that question again.

    Args:
        parse: takes a record and its "file:line"; returns the question, or raises RecordError with the reason.

    Raises DataError, with the place of the record, where `parse` raises anything else or returns no question.
    """
    records, rejected = read_numbered_records(path)
    questions: list[Question] = []
    first: dict[str, tuple[Question, str]] = {}
    for line, which, record in records:
        question, repeated = None, False
        try:
            question = _parsed(parse, record, f"{path}:{line}", which)
            if question.id in first:
                earlier, place = first[question.id]
                repeated = replace(question, source="") == replace(earlier, source="")
                raise RecordError(f"id {short_repr(question.id)} is taken by the record in {place}")
        except RecordError as error:
            name = question.id if question is not None and repeated else record.get("id", "")
            shown = name if isinstance(name, str) else short_repr(name)
            rejected.append(Rejected(str(path), line, shown, f"{which}{error}", repeated))
        else:
            first[question.id] = question, f"line {line}{which and f' ({which[:-2]})'}"
            questions.append(question)
    return questions, sorted(rejected, key=lambda record: record.line)


def _parsed(parse: Callable[[Record, str], Question], record: Record, source: str, which: str) -> Question:
    try:
        question = parse(record, source)
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
    return question


def rejection(question: Question, reason: str) -> Rejected:
    """The rejection of a question that was read without a fault and cannot be used for another reason."""
    file, _, line = question.source.rpartition(":")
    return Rejected(file, int(line), question.id, reason)


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
    """Read one value after another, so that each has its line and a broken list keeps the values before the break."""
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
