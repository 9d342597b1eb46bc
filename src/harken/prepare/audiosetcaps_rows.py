"""Read the rows of AudioSetCaps' CSV files one at a time, in constant memory.

A caption file has the columns `id,caption`. A Q&A file has `id` and numbered `question_N`, `answer_N` columns, or one
`question`, `answer` pair a row. Each row comes with its line, or with the reason why it cannot be used.

Ids are those of lists (`listed_source` in clip_source.py): AudioSet's, VGGSound's and YouTube-8M's. Two rows have the
same key if their ids name the same part of the same recording, however they are spelled.
"""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from harken.data.records import RecordError
from harken.errors import DataError, short_repr
from harken.prepare.clip_source import ClipSource, listed_source

KINDS = ("sounds", "speech", "music")
_ANSWER = re.compile(r"answer_?([0-9]*)")
_FIELD_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row of a caption file or a Q&A file.

    Attributes:
        clip: what the id means.
        key: what the spellings of the clip's id share.
        texts: the caption alone, or one answer for each of KINDS, "" for none.
        extra: answers beyond the first of a kind.
        fault: why the row cannot be used; only `line` and `id` are filled then. "" for a usable row.
    """

    line: int
    id: str
    clip: ClipSource
    key: str
    texts: tuple[str, ...]
    extra: int = 0
    fault: str = ""


_NO_CLIP = ClipSource("", "")


def clip_key(ident: str) -> tuple[ClipSource, str]:
    """The clip that an id means, and its key. Raises RecordError for an id of no known form."""
    clip = listed_source(ident)
    if clip is None:
        raise RecordError(f"id of no known form: {short_repr(ident)}")
    times = [*clip.starts_s, *([] if clip.end_s is None else [clip.end_s])]
    return clip, " ".join([clip.ident, *(f"{time_s:g}" for time_s in times)])


def caption_rows(path: Path) -> Iterator[CsvRow]:
    """Raises DataError where the file cannot be read or has no columns `id` and `caption`."""
    for line, cells in _cells(path, "caption", lambda name: name == "caption"):
        yield _row(line, cells, lambda cells: ((cells["caption"].strip(),), 0), "caption")


def answer_rows(path: Path) -> Iterator[CsvRow]:
    """Raises DataError where the file cannot be read or has no columns `id` and `answer...`."""
    for line, cells in _cells(path, "answer", lambda name: _answer_column(name) is not None):
        yield _row(line, cells, _answers, "every answer")


def _row(
    line: int, cells: dict[str, str], texts_of: Callable[[dict[str, str]], tuple[tuple[str, ...], int]], what: str
) -> CsvRow:
    ident = cells.get("id", "").strip()
    try:
        if fault := cells.get("fault"):
            raise RecordError(fault)
        clip, key = clip_key(ident)
        texts, extra = texts_of(cells)
        if not any(texts):
            raise RecordError(f"{what} is empty")
    except RecordError as error:
        return CsvRow(line, ident, _NO_CLIP, "", (), 0, str(error))
    return CsvRow(line, ident, clip, key, texts, extra)


def _answers(cells: dict[str, str]) -> tuple[tuple[str, ...], int]:
    """The first answer of each kind, and the number of further ones."""
    answers: dict[str, str] = dict.fromkeys(KINDS, "")
    extra = 0
    for name, text in cells.items():
        column = _answer_column(name)
        if column is None or not text.strip():
            continue
        kind = _kind(cells.get(column.question, ""), column.number)
        if answers[kind]:
            extra += 1
        else:
            answers[kind] = text.strip()
    return tuple(answers.values()), extra


@dataclass(frozen=True, slots=True)
class _AnswerColumn:
    """The name of the column with the question of an answer column, and its number."""

    question: str
    number: str


@cache
def _answer_column(name: str) -> _AnswerColumn | None:
    """None for a column that holds no answers."""
    match = _ANSWER.fullmatch(name)
    return _AnswerColumn(name.replace("answer", "question", 1), match[1]) if match else None


@lru_cache(maxsize=1024)
def _kind(question: str, number: str) -> str:
    """What an answer is about. The published questions ask for the sounds, then for speech, then for music."""
    if question:
        return next((kind for kind in ("speech", "music") if f"about the {kind}" in question.casefold()), "sounds")
    return {"2": "speech", "3": "music"}.get(number, "sounds")


def _cells(path: Path, column: str, is_text: Callable[[str], bool]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line where the row ends, cells by column). A row that cannot be read has a cell `fault` with the reason.

    Args:
        column: what messages call the columns of texts.
        is_text: whether a column of this name holds texts; the file must have one, and `id`.
    """
    previous = csv.field_size_limit(_FIELD_LIMIT)
    try:
        # Bytes that are not UTF-8 become halves of surrogate pairs, so that the row that holds them can be named.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip().casefold() for name in next(reader, [])]
            if "id" not in header or not any(is_text(name) for name in header):
                raise DataError(f"{path}:1: expected the columns id and {column}, found {short_repr(header)}")
            if twice := next(
                (name for name in header if (name == "id" or is_text(name)) and header.count(name) > 1), ""
            ):
                raise DataError(f"{path}:1: the column {twice} stands there more than once")
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
                yield reader.line_num, _by_column(header, cells)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    finally:
        csv.field_size_limit(previous)


def _by_column(header: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(header):
        fault = f"row of another length: {len(cells)} cells, the header has {len(header)}"
        return {"id": _printable(cells[0]), "fault": fault}
    row = dict(zip(header, cells, strict=True))
    bad = next((name for name, text in row.items() if not text.isascii() and _printable(text) != text), None)
    return row if bad is None else {"id": _printable(row["id"]), "fault": f"not UTF-8: column {bad}"}


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
