"""Compares the items that a file of predictions states with those of the benchmark file.

Authors mend benchmarks, and people's prediction files hold the items as they were when the model was asked. A few items
that differ are listed and scored: by the choices that the model was shown, and by the answer of the benchmark file or
of the predictions, as the user says. Many that differ mean another benchmark.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Literal

from harken.benchmarks.base import right_text
from harken.benchmarks.lettered import LETTERS
from harken.data.record_fields import find_answer
from harken.data.records import Record
from harken.errors import short_repr
from harken.types import Question

AnswersOf = Literal["benchmark", "file"]
"""Whose answers count where a file of predictions states others than the benchmark file."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of an item that the predictions state otherwise than the benchmark file."""

    id: str
    line: int
    field: Literal["answer", "choices", "question"]
    file: object
    benchmark: object

    def __str__(self) -> str:
        return (
            f"line {self.line}: {short_repr(self.id)}: {self.field} {short_repr(self.file)}, in the benchmark "
            f"{short_repr(self.benchmark)}"
        )


class StatedItemError(Exception):
    """Choices in a record of predictions that are no list of texts."""


def differences(record: Record, line: int, question: Question) -> list[Difference]:
    """Where the record contradicts the question; spaces at the edges of texts and empty choices are ignored.

    Raises StatedItemError for choices that are no texts.
    """
    result = []
    choices, text = _choices(record), record.get("question")
    answer = _answer(record, question.choices if choices is None else choices)
    if question.choices and choices is not None and choices != list(question.choices):
        result.append(Difference(question.id, line, "choices", choices, list(question.choices)))
    scored = question.answer is not None or question.answer_text != ""
    if answer is not None and scored and answer.strip() != right_text(question).strip():
        result.append(Difference(question.id, line, "answer", answer, right_text(question)))
    if isinstance(text, str) and text.strip() != question.text.strip():
        result.append(Difference(question.id, line, "question", text, question.text))
    return result


def as_stated(question: Question, stated_differently: Sequence[Difference], answers: AnswersOf) -> Question:
    """The question with the choices that the predictions state, and with the answer that counts."""
    if not question.choices or not stated_differently:
        return question
    choices = next(
        (difference.file for difference in stated_differently if difference.field == "choices"), question.choices
    )
    stated = next((difference.file for difference in stated_differently if difference.field == "answer"), None)
    hidden = question.answer_hidden
    right = str(stated) if stated is not None and answers == "file" else None if hidden else right_text(question)
    assert isinstance(choices, (list, tuple))
    index = None if right is None else find_answer(right, choices)
    text = right if right is not None and index is None else ""
    return replace(question, choices=tuple(choices), answer=index, answer_text=text)


def _choices(record: Record) -> list[str] | None:
    """The choices that a record states, as readers keep them; None where it states none."""
    choices: object = record.get("choices")
    if choices is None and "choice_a" in record:
        lettered = [record.get(f"choice_{letter.lower()}") for letter in LETTERS]
        choices = [str(choice) for choice in lettered if choice not in (None, "")]
    if choices is None or choices == []:
        return None
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        raise StatedItemError(f"choices: expected a list of texts, found {short_repr(choices)}")
    return [choice.strip() for choice in choices if choice]


def _answer(record: Record, choices: Sequence[str]) -> str | None:
    """The text of the answer that a record states, also as a letter or an index of its choices; None for none."""
    answer = record.get("answer", record.get("answer_gt"))
    if answer is None:
        return None
    text = str(answer).strip()
    place = answer if type(answer) is int else ascii_uppercase.find(text) if len(text) == 1 else -1
    is_place = find_answer(text, choices) is None and 0 <= place < len(choices)
    return choices[place] if is_place else text
