"""The matcher that MMAU and MMAR share: sets of word tokens (docs/benchmarks.md).

Takes the right answer's text, the prediction and the choices, gives whether the official scripts count it as right.
Reimplemented as it is, traps included: word order is ignored, so a wrong choice with the same words passes; a letter
beside the right text fails where some other choice holds that letter as a word. Not taken: mending it. What harken
thinks of a prediction is the strict accuracy beside it.
"""

import re
from collections.abc import Sequence

from harken.types import Question

_WORD = re.compile(r"\w+")  # greedy, so that every match ends at a word boundary


def matches(answer: str, prediction: str, choices: Sequence[str]) -> bool:
    """Whether the prediction holds every token of the answer, and none that belongs to a choice and not to the answer.
    A prediction without tokens is wrong.

    Example:
        >>> matches("bass guitar", "I hear a guitar, a bass one", ["bass guitar", "drums"])
        True
    """
    said, wanted = _tokens(prediction), _tokens(answer)
    if not said or not wanted <= said:
        return False
    return all(said.isdisjoint(_tokens(choice) - wanted) for choice in choices)


def official(question: Question, prediction: str) -> bool:
    """The script's verdict on one item; it drops none that has a prediction."""
    return matches(right_text(question), prediction, question.choices)


def right_text(question: Question) -> str:
    """The right answer as published. Raises ValueError where the benchmark hides it."""
    if question.answer is not None:
        return question.choices[question.answer]
    if question.answer_text:
        return question.answer_text
    raise ValueError(f"question {question.id!r} has no answer")


def _tokens(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
