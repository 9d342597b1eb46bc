"""Parses JSON that came from a file or a server, within limits.

What the limits refuse would fail later and elsewhere: a number that no float can hold, NaN, an object that has one
key twice, values nested so deeply that other functions give up.
"""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

MOST_DIGITS = 100
"""Digits of an integer. No number that somebody counted or measured has as many; a float holds 308."""
DEEPEST = 64
"""Levels of lists and objects in each other."""


def parse_json(text: str | bytes, *, constants: bool = False) -> Any:
    """The value of a JSON text.

    Args:
        constants: accept NaN and Infinity, which are not JSON and which programs write nevertheless.

    Raises ValueError with the reason where the text is not JSON, not UTF-8, or beyond the limits.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"not UTF-8: byte 0x{error.object[error.start]:02x} at byte {error.start}") from error
    try:
        value = (_LENIENT if constants else _STRICT).decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except json.JSONDecodeError as error:
        raise ValueError(_fault(error, text)) from error
    if text.count("[") + text.count("{") > DEEPEST:
        _check_depth(value)
    return value


def half_surrogate(value: Any) -> str | None:
    """Half of a surrogate pair in a value's text, where there is one. JSON can escape it; a file in UTF-8 cannot hold
    it."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        return error.object[error.start]
    return None


def _decoder(*, constants: bool = False) -> json.JSONDecoder:
    """A decoder with the limits, apart from that of depth."""
    refuse: Callable[[str], Any] = _refuse_constant
    return json.JSONDecoder(
        object_pairs_hook=_object,
        parse_int=_integer,
        parse_float=float if constants else _finite,
        parse_constant=float if constants else refuse,
    )


def _check_depth(value: Any) -> None:
    """Raises ValueError where lists and objects are nested too deeply."""
    level = [value]
    for _ in range(DEEPEST):
        level = [part for whole in level if isinstance(whole, dict | list) for part in _parts(whole)]
        if not level:
            return
    raise ValueError(f"nested too deeply: more than {DEEPEST} levels")


def _parts(value: dict[str, Any] | list[Any]) -> Sequence[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"one object has the key {twice[:80]!r} twice")
    return values


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"an integer of {len(digits.lstrip('-'))} digits")
    return int(digits)


def _finite(digits: str) -> float:
    """The number as a float. Raises ValueError for one such as `1e999`, which Python would read as an infinity."""
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits[:20]} is larger than a float can be")
    return number


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _fault(error: json.JSONDecodeError, text: str) -> str:
    if "\0" in text:
        return f"NUL bytes from byte {len(text[: text.index(chr(0))].encode())} on, as a power cut leaves them"
    return f"not JSON: {error.msg} in line {error.lineno}, column {error.colno}"


_STRICT, _LENIENT = _decoder(), _decoder(constants=True)
