"""The official rule that MMAU and MMAR share: it compares sets of words (docs/benchmarks.md).

The rule is reimplemented as its authors wrote it, faults included. It ignores the order of words, so a wrong choice
with the same words passes; and a letter beside the right text fails where another choice holds that letter as a word.
"""

import re
from collections.abc import Sequence

from harken.benchmarks.base import right_text
from harken.types import Question

_WORD = re.compile(r"\w+")  # greedy, so that every match ends at a word boundary


def matches(answer: str, prediction: str, choices: Sequence[str]) -> bool:
    """Whether the prediction holds every word of the answer, and no word of a choice that the answer does not hold.
    A prediction without words is wrong.

    Example:
        >>> matches("bass guitar", "I hear a guitar, a bass one", ["bass guitar", "drums"])
        True
    """
    predicted, wanted = _words(prediction), _words(answer)
    if not predicted or not wanted <= predicted:
        return False
    return all(predicted.isdisjoint(_words(choice) - wanted) for choice in choices)


def word_rule(question: Question, prediction: str) -> bool:
    """What the script says of one prediction; it drops no question that has one.

    Raises ValueError where the benchmark hides the answer.
    """
    return matches(right_text(question), prediction, question.choices)


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
