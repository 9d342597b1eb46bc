"""Clean the choices of a question, as annotators and scripts left them.

A list of choices may hold nulls, numbers, blanks and the same text twice. `clean_choices` drops or converts these and
says what it repaired; it never drops the right answer and never guesses (an index given as text, an index out of
range).
"""

import math
from typing import Any

from harken.data.records import RecordError
from harken.errors import short_repr

NULL_DROPPED = "null choice dropped"
BLANK_DROPPED = "blank choice dropped"
NUMBER_CONVERTED = "number made text"
REPEAT_DROPPED = "repeated choice dropped"


def clean_choices(value: Any, answer: Any, key: str) -> tuple[tuple[str, ...], int, set[str]]:
    """Clean a list of choices. Two choices are the same if they differ in case and spaces only; the first one stays.

    Args:
        answer: index of the right choice in `value`.
        key: the field of `value`, for errors.

    Returns:
        The choices, the index of the right one, and the repairs that were made.

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
    repairs: set[str] = set()
    for index, choice in enumerate(value):
        text, repair = _clean(choice, key)
        if repair:
            repairs.add(repair)
        if text is None:
            if index == answer:
                raise RecordError(f"answer: the choice it names is {short_repr(choice)}")
            continue
        plain = " ".join(text.casefold().split())
        if plain in kept:
            repairs.add(REPEAT_DROPPED)
        kept.setdefault(plain, text)
        if index == answer:
            right = plain
    if len(kept) < 2:
        raise RecordError(f"{key}: fewer than two different choices: {short_repr(value)}")
    assert right is not None
    return tuple(kept.values()), list(kept).index(right), repairs


def _clean(choice: Any, key: str) -> tuple[str | None, str | None]:
    """The text of a choice, or None to drop it; and the repair that was made, or None."""
    if choice is None:
        return None, NULL_DROPPED
    if isinstance(choice, str):
        return (choice.strip(), None) if choice.strip() else (None, BLANK_DROPPED)
    if type(choice) in (int, float) and math.isfinite(choice):
        return str(choice), NUMBER_CONVERTED
    raise RecordError(f"{key}: expected texts, found {short_repr(choice)}")
