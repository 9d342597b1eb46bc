"""Says what a JSON object must hold, and checks it in one place: a file of a run folder may be damaged in any way.

A shape names the kind of each key. `check_shape` raises DataError with file, line and key, so that whoever reads the
values afterwards can use them as they are.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from harken.errors import DataError, short_repr


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of JSON value.

    Attributes:
        name: how errors name it, as in "expected a text".
        fits: whether a value is of this kind.
        required: whether the key must be there.
    """

    name: str
    fits: Callable[[Any], bool]
    required: bool = True

    @property
    def or_null(self) -> "Kind":
        return replace(self, name=f"{self.name} or null", fits=lambda value: value is None or self.fits(value))

    @property
    def optional(self) -> "Kind":
        return replace(self, required=False)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """The keys of a JSON object and the kinds of their values.

    Attributes:
        keys: key -> what it holds.
        others: what all other keys hold; None = anything.
    """

    keys: Mapping[str, Kind]
    others: Kind | None = None

    def fault(self, value: Mapping[str, Any]) -> str | None:
        """A sentence on the first value that does not fit; None where all fit."""
        for key, kind in self.keys.items():
            if key in value and not kind.fits(value[key]):
                return f"key {key!r}: expected {kind.name}, found {short_repr(value[key])}"
            if key not in value and kind.required:
                return f"key {key!r} is missing"
        if self.others is None:
            return None
        for key, content in value.items():
            if key not in self.keys and not self.others.fits(content):
                return f"key {short_repr(key)}: expected {self.others.name}, found {short_repr(content)}"
        return None


def is_number(value: Any) -> bool:
    """Whether the value is a finite number. True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


TEXT = Kind("a text", lambda value: isinstance(value, str))
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
NUMBER = Kind("a number", is_number)
COUNT = Kind("a whole number from 0 on", is_count)
MAPPING = Kind("an object", lambda value: isinstance(value, dict))
ANY_OBJECT = Shape({})


def list_of(kind: Kind) -> Kind:
    return Kind(f"a list of {kind.name}", lambda value: isinstance(value, list) and all(map(kind.fits, value)))


def mapping_of(kind: Kind) -> Kind:
    """An object whose keys may have any name."""
    name = f"an object of names, each with {kind.name}"
    return Kind(name, lambda value: isinstance(value, dict) and all(map(kind.fits, value.values())))


_NOTHING = Kind("no other key", lambda value: False)


def object_of(**keys: Kind) -> Kind:
    """An object with these keys, and any others."""
    return _object(Shape(keys))


def exact_object_of(**keys: Kind) -> Kind:
    """An object with these keys and no others."""
    return _object(Shape(keys, _NOTHING))


def _object(shape: Shape) -> Kind:
    names = ", ".join(f"{key} ({kind.name})" for key, kind in shape.keys.items())
    return Kind(f"an object with {names}", lambda value: isinstance(value, dict) and shape.fault(value) is None)


def check_shape(value: Any, shape: Shape, place: object, fix: str) -> dict[str, Any]:
    """The value, which is an object of this shape.

    Args:
        place: file, or file:line, that errors name.
        fix: what the user can do about it.

    Raises DataError.
    """
    if not isinstance(value, dict):
        raise DataError(f"{place}: expected a JSON object, found {type(value).__name__}; {fix}")
    if fault := shape.fault(value):
        raise DataError(f"{place}: {fault}; {fix}")
    return value
