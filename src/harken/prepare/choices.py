"""Choices as annotators and scripts left them -> distinct texts and the index of the right one.

Takes a list that may hold nulls, numbers, blanks and the same text twice, and an index into it; gives what can be asked
and the names of what was mended, or a RecordError. What a mend drops is never the right answer. Not taken: guessing
(an index given as text, an answer out of range).
"""

import math
from typing import Any

from harken.data.records import RecordError
from harken.errors import short_repr

NULL, BLANK, NUMBER, TWICE = (
    "null choice dropped",
    "blank choice dropped",
    "number made text",
    "repeated choice dropped",
)


def clean_choices(value: Any, answer: Any, key: str) -> tuple[tuple[str, ...], int, set[str]]:
    """(choices, index of the right one, what was mended). Two choices are the same where they differ in case and
    spaces alone; the first spelling stays. `key` names the field of `value` in errors.

    Raises RecordError where the index is none or names no choice, or fewer than two choices are left.
    """
    if not isinstance(value, list):
        raise RecordError(f"{key}: expected a list, found {short_repr(value)}")
    if type(answer) is not int:
        raise RecordError(f"answer: expected an index, found {short_repr(answer)}")
    if not 0 <= answer < len(value):
        raise RecordError(f"answer out of range: {answer} of {len(value)} choices")
    kept: dict[str, str] = {}
    right = None
    mended: set[str] = set()
    for index, entry in enumerate(value):
        text, mend = _text(entry, key)
        if mend:
            mended.add(mend)
        if text is None:
            if index == answer:
                raise RecordError(f"answer: the choice it names is {short_repr(entry)}")
            continue
        same = " ".join(text.casefold().split())
        if same in kept:
            mended.add(TWICE)
        kept.setdefault(same, text)
        if index == answer:
            right = same
    if len(kept) < 2:
        raise RecordError(f"{key}: fewer than two different choices: {short_repr(value)}")
    assert right is not None
    return tuple(kept.values()), list(kept).index(right), mended


def _text(entry: Any, key: str) -> tuple[str | None, str | None]:
    """(text or None to drop it, what was mended)."""
    if entry is None:
        return None, NULL
    if isinstance(entry, str):
        return (entry.strip(), None) if entry.strip() else (None, BLANK)
    if type(entry) in (int, float) and math.isfinite(entry):
        return str(entry), NUMBER
    raise RecordError(f"{key}: expected texts, found {short_repr(entry)}")
