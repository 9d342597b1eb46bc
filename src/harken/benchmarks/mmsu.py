"""MMSU's official rule: AIR-Bench's letter, with another denominator.

Takes a question and a prediction, gives the script's verdict. It differs from AIR-Bench's in two places: an empty
prediction and "None" stay in the denominator as wrong, and of two choices with the right text each is right. Not taken:
one shared function with switches.
"""

from harken.benchmarks.airbench import letter
from harken.benchmarks.lettered import LETTERS
from harken.types import Question


def official(question: Question, prediction: str) -> bool | None:
    """The script's verdict on one item; None where there is text without a letter: it drops the item.

    Raises ValueError where the benchmark hides the answer.
    """
    if question.answer is None:
        raise ValueError(f"question {question.id!r} has no answer")
    if prediction.strip().replace("\n", "") in ("", "None"):
        return False
    found = letter(prediction)
    if found is None:
        return None
    index = LETTERS.index(found)
    return index < len(question.choices) and question.choices[index] == question.choices[question.answer]
