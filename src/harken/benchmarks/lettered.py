"""What AIR-Bench and MMSU share: records with choice_a to choice_d and answer_gt, and a script that reads a letter."""

from harken.data.record_fields import answer_index
from harken.data.records import Record, RecordError
from harken.errors import short_repr

LETTERS = "ABCD"


def lettered_choices(record: Record) -> tuple[str, ...]:
    """Two to four texts as they stand in the record; choice_c and choice_d may be missing, null or empty.

    Raises RecordError for a gap, such as choice_d without choice_c: closing it would change the letters.
    """
    values = [_text(record, f"choice_{letter.lower()}") for letter in LETTERS]
    texts = [value for value in values if value is not None]
    if len(texts) < 2 or None in values[: len(texts)]:
        missing = f"choice_{LETTERS[values.index(None)].lower()}"
        raise RecordError(f"{missing} is missing; choices: {short_repr(values)}")
    return tuple(texts)


def lettered_answer(record: Record, choices: tuple[str, ...]) -> int | None:
    """Index of the right choice, the first where two have its text; None where the record hides it."""
    answer = _text(record, "answer_gt")
    return None if answer is None else answer_index(answer, choices)


def letter(prediction: str) -> str | None:
    """The letter that the official scripts read in a prediction.

    It is the first character if that is one of ABCD ("Bird" is B), else the last but one ("The answer is A."), else
    None. Line breaks are removed first.
    """
    text = prediction.strip().replace("\n", "")
    if text and text[0] in LETTERS:
        return text[0]
    return text[-2] if len(text) > 1 and text[-2] in LETTERS else None


def _text(record: Record, key: str) -> str | None:
    """A text or a whole number, as text; None where it is missing, null or blank."""
    value = record.get(key)
    if type(value) is int:
        return str(value)
    if value is not None and not isinstance(value, str):
        raise RecordError(f"{key}: expected text, found {short_repr(value)}")
    return value if value and value.strip() else None
