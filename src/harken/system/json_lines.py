"""Files of JSON lines: one JSON object a line, in UTF-8.

A file of metrics, replies or answers grows row by row while a program runs. A process that is killed may leave half a
line at its end. Every reader here ignores such a half line, and a program that goes on appending first removes it.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from harken.errors import DataError, file_error
from harken.system.files import naming, replacing
from harken.system.json_text import parse_json

_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
FIX = "restore the file, or remove the line"


def json_line(row: Any) -> str:
    """The row as one line of JSON. Raises ValueError for NaN and infinities, which JSON does not have.

    Half of a surrogate pair, which is no text and which no file in UTF-8 can hold, becomes `\\ud800`, which JSON reads
    back.
    """
    line = _ENCODE(row) + "\n"
    return line.encode("utf-8", errors="backslashreplace").decode("utf-8")


def write_json_lines(path: Path, rows: Iterable[Any]) -> None:
    """Write a whole file; readers see the earlier file until the new one is complete."""
    with json_lines_file(path) as write:
        for row in rows:
            write(row)


@contextlib.contextmanager
def json_lines_file(path: Path) -> Iterator[Callable[[Any], None]]:
    """Give a function that writes one row after another; the file has its name when the block ends, and is not there
    when the block raises. Half of a surrogate pair becomes `\\ud800`, which JSON reads back."""
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file,
    ):
        yield lambda row: _write(file, row)


def _write(file: TextIO, row: Any) -> None:
    file.write(json_line(row))


def append_json_lines(
    path: Path, rows: Iterable[Mapping[str, Any]], advice: str = "run the same command again"
) -> None:
    """Append rows; they are in the file when this returns, and none of them is when this raises.

    Raises FileError when the file cannot be written, for example because the disk is full. The message tells the
    user to make room and then to follow `advice`.
    """
    rest = memoryview("".join(json_line(row) for row in rows).encode("utf-8"))
    try:
        with naming(path), path.open("ab", buffering=0) as file:
            end = file.tell()
            try:
                while rest:
                    rest = rest[file.write(rest) :]
            except OSError:
                file.truncate(end)  # the next row of this process would go on in the half line
                raise
    except OSError as error:
        raise file_error(error, advice) from error


def read_json_lines(path: Path, fix: str = FIX) -> list[dict[str, Any]]:
    """The rows of a file that another process may still be writing; no rows when there is no such file.

    Raises DataError, with the line's number, when a complete line is not a JSON object.
    """
    return [row for row, _ in _complete_rows(path, fix)] if path.exists() else []


def reopen_json_lines(path: Path, fix: str = FIX) -> list[dict[str, Any]]:
    """The rows of a file that this process goes on appending to.

    Creates the file and its folder when they do not exist, and removes a half line at the end. Raises DataError as
    `read_json_lines` does.
    """
    return [row for row, _, _ in reopened_rows(path, fix)]


def reopened_rows(path: Path, fix: str = FIX) -> Iterator[tuple[dict[str, Any], int, int]]:
    """Yield what `reopen_json_lines` returns, one row after another, each with the bytes at which its line begins and
    ends. The half line is removed after the last row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    start = 0
    for row, end in _complete_rows(path, fix):
        yield row, start, end
        start = end
    os.truncate(path, start)


def _complete_rows(path: Path, fix: str) -> Iterator[tuple[dict[str, Any], int]]:
    """Each row with the position in bytes at which its line ends."""
    end = 0
    with path.open("rb") as lines:  # lines end at "\n" alone: text may hold other line separators, such as U+2028
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                row = parse_json(line)
            except ValueError as error:
                raise DataError(f"{path}:{number}: {error}; {fix}") from error
            if not isinstance(row, dict):
                kind = type(row).__name__
                raise DataError(f"{path}:{number}: expected a JSON object, found {kind}; {fix}")
            end += len(line)
            yield row, end
