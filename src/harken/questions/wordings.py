"""Reads the other wordings of questions that `harken generate paraphrases` wrote."""

from collections.abc import Sequence
from pathlib import Path

from harken.data.records import read_records
from harken.errors import DataError, short_repr
from harken.types import Question


def read_wordings(path: Path, questions: Sequence[Question]) -> dict[str, list[str]]:
    """Question id -> its other wordings, equally many for each question: where it has fewer, its own words and the
    others follow again.

    Raises DataError with file and line for a record that holds none, for another text of a question than that which was
    paraphrased, and where no question of these has another wording.
    """
    records, rejected = read_records(path)
    if rejected:
        raise DataError(f"{path}:{rejected[0].line}: {rejected[0].reason}")
    text_of = {question.id: question.text for question in questions}
    wordings_of: dict[str, list[str]] = {}
    for line, _, record in records:
        ident, texts = record.get("id"), record.get("paraphrases")
        if not isinstance(ident, str) or ident in wordings_of:
            raise DataError(f"{path}:{line}: id: expected text that no earlier line has, found {short_repr(ident)}")
        if not isinstance(texts, list) or not texts or not all(isinstance(t, str) and t.strip() for t in texts):
            raise DataError(f"{path}:{line}: paraphrases: expected a list of texts, found {short_repr(texts)}")
        if ident in text_of and record.get("question", text_of[ident]) != text_of[ident]:
            raise DataError(f"{path}:{line}: paraphrases another text of {short_repr(ident)}: generate them again")
        wordings_of[ident] = texts
    most = max((len(wordings_of[ident]) for ident in text_of if ident in wordings_of), default=0)
    if most == 0:
        raise DataError(f"{path}: holds another wording of none of the questions")
    return {ident: _filled([text, *wordings_of.get(ident, [])], most) for ident, text in text_of.items()}


def _filled(texts: Sequence[str], n: int) -> list[str]:
    return [texts[(place + 1) % len(texts)] for place in range(n)]
