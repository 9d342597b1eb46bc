"""Compares the recipe that a folder was written with to the one that is to go on with it."""

from collections.abc import Collection, Mapping
from typing import Any


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
