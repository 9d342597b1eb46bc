"""The fields that AIR-Bench and MMSU share: choice_a to choice_d, and answer_gt with the right one's text.

Takes a record, gives the choices in order of their letters and the index of the right one. Not taken: closing a gap
(choice_d without choice_c): the letters would then name other choices than the official scorer's.
"""

from harken.data.records import Record, RecordError, answer_index, unlisted
from harken.errors import short_repr

LETTERS = "ABCD"


def lettered_choices(record: Record) -> tuple[str, ...]:
    """Two to four texts as they stand in the record; choice_c and choice_d may be missing, null or empty."""
    values = [_text(record, f"choice_{letter.lower()}") for letter in LETTERS]
    found = [value for value in values if value is not None]
    if len(found) < 2 or None in values[: len(found)]:
        missing = f"choice_{LETTERS[values.index(None)].lower()}"
        raise RecordError(f"{missing} is missing; choices: {short_repr(values)}")
    return tuple(found)


def lettered_answer(record: Record, choices: tuple[str, ...]) -> int | None:
    """Index of the right choice, the first where two have its text; None where the record hides it."""
    answer = _text(record, "answer_gt")
    if answer is None:
        return None
    index = answer_index(answer, choices)
    if index is None:
        raise unlisted(answer, choices)
    return index


def _text(record: Record, key: str) -> str | None:
    """A text or a whole number, as text; None where it is missing, null or blank."""
    value = record.get(key)
    if type(value) is int:
        return str(value)
    if value is not None and not isinstance(value, str):
        raise RecordError(f"{key}: expected text, found {short_repr(value)}")
    return value if value and value.strip() else None
