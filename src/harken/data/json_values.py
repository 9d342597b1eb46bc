"""Reads the values of a JSON list or of JSON lines one after another, each with its line, in little memory.

The files come from strangers and may be large: no more than a part of a file is held. Where a JSON list breaks off, the
values before the break are given and the break itself is a Rejected.
"""

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from harken.errors import DataError, short_repr
from harken.types import Rejected

SPACE = " \t\r\n"
_CHUNK = 1 << 18
_DECODER = json.JSONDecoder()
_LONGEST_TOKEN = 16
"""The longest word of JSON and more: where a fault lies nearer to the end of what was read, the rest may mend it."""


@dataclass(frozen=True, slots=True)
class JsonValue:
    """A value of a file, the line in which it begins, counted from 1, and whether its text has a `\\u` escape."""

    line: int
    value: Any
    has_escape: bool


def json_values(path: Path) -> Iterator[JsonValue | Rejected]:
    """Yield the values of a JSON list (the text begins with `[`) or of JSON lines, and what is no JSON as a Rejected.

    Raises DataError where the file cannot be read or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            text = _Text(path, file)
            first = text.next_character()
            file.seek(0)
            yield from _list_values(path, _Text(path, file)) if first == "[" else _line_values(path, file)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _line_values(path: Path, file: BinaryIO) -> Iterator[JsonValue | Rejected]:
    n_bytes = 0
    for line, data in enumerate(file, start=1):  # lines end at "\n" alone: U+2028 may stand inside a text
        try:
            content = data.decode("utf-8").removesuffix("\n")
        except UnicodeDecodeError as error:
            raise _not_utf8(path, error, n_bytes) from error
        n_bytes += len(data)
        content = content.removeprefix("\ufeff") if line == 1 else content
        if not content.strip(SPACE):
            continue
        try:
            yield JsonValue(line, json.loads(content), "\\u" in content)
        except (ValueError, RecursionError) as error:
            fault = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else _plain(error)
            yield Rejected(str(path), line, "", f"not JSON: {fault}: {short_repr(content)}")


def _list_values(path: Path, text: "_Text") -> Iterator[JsonValue | Rejected]:
    text.next_character()
    text.move(1)  # behind the [

    def broken(line: int, reason: str) -> Rejected:
        return Rejected(str(path), line, "", f"{reason}; nothing after this place was read")

    if text.next_character() == "]":
        yield from _after_list(path, text)
        return
    while True:
        line = text.line
        try:
            value, has_escape = text.next_value()
        except DataError:  # the file itself cannot be read
            raise
        except (ValueError, RecursionError) as error:
            place, fault = text.place_of(error)
            yield broken(place, f"the JSON list breaks off in the record of line {line}: {fault}")
            return
        yield JsonValue(line, value, has_escape)
        line = text.line
        match text.next_character():
            case ",":
                text.move(1)
                text.next_character()
            case "]":
                yield from _after_list(path, text)
                return
            case "":
                yield broken(line, "the JSON list has no end (expected ',' or ']')")
                return
            case other:
                yield broken(text.line, f"the JSON list breaks off: expected ',' or ']', found {other!r}")
                return


def _after_list(path: Path, text: "_Text") -> Iterator[Rejected]:
    text.move(1)  # behind the ]
    first = text.line
    reason = f"after the end of the JSON list (line {first})"
    for line, left in enumerate(text.lines(), start=first):
        if left.strip(SPACE):
            yield Rejected(str(path), line, "", f"{reason}: {short_repr(left)}")


class _Text:
    """The text of a file, of which the part from the present place on is held as far as it was needed.

    Attributes:
        line: of the present place, counted from 1.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.line = 1
        self._path, self._file = path, file
        self._decode = codecs.getincrementaldecoder("utf-8")()
        self._n_bytes = 0
        self._held, self._at, self._ended = "", 0, False
        self._first_column = 1  # of the first character held
        while not self._held and self._more():
            pass
        self._held = self._held.removeprefix("\ufeff")

    def next_character(self) -> str:
        """Move over white space, and return the character there; "" at the end."""
        while True:
            rest = self._at
            while rest < len(self._held) and self._held[rest] in SPACE:
                rest += 1
            self.move(rest - self._at)
            if self._at < len(self._held) or not self._more():
                return self._held[self._at : self._at + 1]

    def next_value(self) -> tuple[Any, bool]:
        """The JSON value at the present place, and whether its text has a `\\u` escape; moves behind the value.

        Raises ValueError, RecursionError where there is none.
        """
        while True:
            try:
                value, end = _DECODER.raw_decode(self._held, self._at)
            except json.JSONDecodeError as error:
                near_end = error.pos >= len(self._held) - _LONGEST_TOKEN or error.msg.startswith("Unterminated string")
                if near_end and self._more():
                    continue
                raise
            if end == len(self._held) and self._more():
                continue  # a number may go on
            has_escape = self._held.find("\\u", self._at, end) >= 0
            self.move(end - self._at)
            return value, has_escape

    def place_of(self, error: ValueError | RecursionError) -> tuple[int, str]:
        """The line of a fault that `next_value` raised, and the fault with its column."""
        if not isinstance(error, json.JSONDecodeError):
            return self.line, _plain(error)
        line = self.line + self._held.count("\n", self._at, error.pos)
        newline = self._held.rfind("\n", 0, error.pos)
        column = error.pos - newline if newline >= 0 else self._first_column + error.pos
        return line, f"{error.msg} at column {column}"

    def lines(self) -> Iterator[str]:
        """The rest of the file, line by line."""
        while True:
            end = self._held.find("\n", self._at)
            if end < 0 and self._more():
                continue
            yield self._held[self._at : len(self._held) if end < 0 else end]
            if end < 0:
                return
            self.move(end + 1 - self._at)

    def move(self, n_characters: int) -> None:
        """Go on by as many characters."""
        self.line += self._held.count("\n", self._at, self._at + n_characters)
        self._at += n_characters

    def _more(self) -> bool:
        """Drop what lies before the present place and read on, by more where much is held; False, with nothing changed,
        at the end."""
        if self._ended:
            return False
        pending = len(self._decode.getstate()[0])
        data = self._file.read(max(_CHUNK, len(self._held)))
        try:
            text = self._decode.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise _not_utf8(self._path, error, self._n_bytes - pending) from error
        self._n_bytes += len(data)
        self._ended = not data
        if data:
            newline = self._held.rfind("\n", 0, self._at)
            self._first_column = self._at - newline if newline >= 0 else self._first_column + self._at
            self._held = self._held[self._at :] + text
            self._at = 0
        return bool(data)


def _not_utf8(path: Path, error: UnicodeDecodeError, n_before: int) -> DataError:
    return DataError(
        f"{path}: not UTF-8: byte 0x{error.object[error.start]:02x} at byte {n_before + error.start}; save the file as "
        f"UTF-8, for example `iconv -f ISO-8859-1 -t UTF-8 {path.name}`"
    )


def _plain(error: ValueError | RecursionError) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
