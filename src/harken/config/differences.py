"""Compares what a folder was written with to what is to go on with it: its recipe, and other inputs by name."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

_SHOWN = 10
"""So many differences are named."""


def recipe_differences(
    stored: Mapping[str, Any], current: Mapping[str, Any], changeable: Collection[str], prefix: str = ""
) -> list[str]:
    """`key.path: a in the folder, b now` for each value that differs.

    Args:
        changeable: keys, or sections as a whole, that may differ.
    """
    lines: list[str] = []
    for key in {**stored, **current}:
        name, before, now = f"{prefix}{key}", stored.get(key), current.get(key)
        if name in changeable:
            continue
        if isinstance(before, dict) and isinstance(now, dict):
            lines += recipe_differences(before, now, changeable, f"{name}.")
        elif before != now:
            lines.append(f"{name}: {before!r} in the folder, {now!r} now")
    return lines


def mapping_differences(
    what: str, stored: Mapping[str, Any], current: Mapping[str, Any], *, show: bool = False
) -> list[str]:
    """`WHAT key: changed` for each value that differs; with `show` both values instead."""
    lines = []
    for key in {**stored, **current}:
        before, now = stored.get(key), current.get(key)
        if before != now:
            lines.append(f"{what} {key}: " + (f"{before} then, {now} now" if show else how_changed(before, now)))
    return lines


def how_changed(before: object, now: object) -> str:
    return "new" if before is None else "gone" if now is None else "changed"


def shortened(differences: Sequence[str]) -> list[str]:
    """The first differences, and how many more there are."""
    rest = len(differences) - _SHOWN
    return [*differences[:_SHOWN], *([f"{rest} more"] if rest > 0 else [])]
