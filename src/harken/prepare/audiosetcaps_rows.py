"""Rows of AudioSetCaps' CSV files, one at a time.

Takes a caption file (`id,caption`) or a Q&A file (`id` and numbered `question_N`, `answer_N` columns, or one
`question`, `answer` pair a row), gives rows with their line or the reason why one cannot be used, in constant memory.

Ids: AudioSet `Y<id>` (12 characters; an id may begin with Y itself) or a bare `<id>`, VGGSound `<id>_<start>`,
YouTube-8M `<id>_<start>_<length>`. Their keys are equal where these parts are, starts padded or not.
"""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from harken.data.records import RecordError
from harken.errors import DataError, short_repr

KINDS = ("sounds", "speech", "music")
_AUDIOSET = re.compile(r"Y?([A-Za-z0-9_-]{11})")
_TIMED = re.compile(r"([A-Za-z0-9_-]{11})_([0-9]{1,6})(?:_([0-9]{1,4}))?")
_ANSWER = re.compile(r"answer_?([0-9]*)")
_FIELD_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """`texts` is the caption alone, or one answer for each of KINDS, "" for none. `extra`: answers beyond the first of
    a kind. Where `fault` is not "", the rest but `id` says nothing."""

    line: int
    id: str
    key: str
    texts: tuple[str, ...]
    extra: int = 0
    fault: str = ""


def clip_key(ident: str) -> str:
    """What two spellings of one clip's id share. Raises RecordError for an id of no known form."""
    if found := _AUDIOSET.fullmatch(ident):
        return f"a {found[1]}"
    if found := _TIMED.fullmatch(ident):
        return f"{'v' if found[3] is None else 'y'} {found[1]} {int(found[2])}" + (f" {found[3]}" if found[3] else "")
    raise RecordError(f"id of no known form: {short_repr(ident)}")


def caption_rows(path: Path) -> Iterator[Row]:
    """Raises DataError where the file cannot be read or has no columns `id` and `caption`."""
    for line, cells in _cells(path, ("id", "caption")):
        yield _row(line, cells, lambda cells: ((cells["caption"].strip(),), 0), "caption")


def answer_rows(path: Path) -> Iterator[Row]:
    """Raises DataError where the file cannot be read or has no columns `id` and `answer...`."""
    for line, cells in _cells(path, ("id", "answer")):
        yield _row(line, cells, _answers, "every answer")


def _row(
    line: int, cells: dict[str, str], texts_of: Callable[[dict[str, str]], tuple[tuple[str, ...], int]], what: str
) -> Row:
    ident = cells.get("id", "").strip()
    try:
        if fault := cells.get("fault"):
            raise RecordError(fault)
        key = clip_key(ident)
        texts, extra = texts_of(cells)
        if not any(texts):
            raise RecordError(f"{what} is empty")
    except RecordError as error:
        return Row(line, ident, "", (), 0, str(error))
    return Row(line, ident, key, texts, extra)


def _answers(cells: dict[str, str]) -> tuple[tuple[str, ...], int]:
    found: dict[str, str] = dict.fromkeys(KINDS, "")
    extra = 0
    for name, text in cells.items():
        column = _answer_column(name)
        if column is None or not text.strip():
            continue
        kind = _kind(cells.get(column.question, ""), column.number)
        if found[kind]:
            extra += 1
        else:
            found[kind] = text.strip()
    return tuple(found.values()), extra


@dataclass(frozen=True, slots=True)
class _AnswerColumn:
    question: str
    number: str


@cache
def _answer_column(name: str) -> _AnswerColumn | None:
    """The column of the question that an answer column answers, and its number; None for any other column."""
    found = _ANSWER.fullmatch(name)
    return _AnswerColumn(name.replace("answer", "question", 1), found[1]) if found else None


@lru_cache(maxsize=1024)
def _kind(question: str, number: str) -> str:
    """The published questions ask for the sounds, then for speech, then for music."""
    if question:
        return next((kind for kind in ("speech", "music") if f"about the {kind}" in question.casefold()), "sounds")
    return {"2": "speech", "3": "music"}.get(number, "sounds")


def _cells(path: Path, wanted: tuple[str, str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line where the row ends, cells by column); a row that is no row has the one cell `fault`."""
    previous = csv.field_size_limit(_FIELD_LIMIT)
    try:
        # Bytes that are not UTF-8 become halves of surrogate pairs, so that the row that holds them is known.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip().casefold() for name in next(reader, [])]
            if wanted[0] not in header or not any(name.startswith(wanted[1]) for name in header):
                raise DataError(
                    f"{path}:1: expected the columns {wanted[0]} and {wanted[1]}, found {short_repr(header)}"
                )
            while True:
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield reader.line_num, {"fault": f"not CSV: {error}"}
                    continue
                if not cells:
                    continue
                yield reader.line_num, _named(header, cells)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    finally:
        csv.field_size_limit(previous)


def _named(header: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(header):
        return {
            "id": _printable(cells[0]),
            "fault": f"row of another length: {len(cells)} cells, the header has {len(header)}",
        }
    row = dict(zip(header, cells, strict=True))
    bad = next((name for name, text in row.items() if not text.isascii() and _printable(text) != text), None)
    return row if bad is None else {"id": _printable(row["id"]), "fault": f"not UTF-8: column {bad}"}


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
