"""A judge's opinion of answers, to stand beside string matching: questions and predictions -> verdicts.

For the one published row that is scored so. Never mixed with the grader: harken/questions/grader.py decides every
reward and every accuracy, and this column has a name of its own.
"""

from collections.abc import Sequence

from harken.judges.judge import Judge, Verdict
from harken.types import Question


def judge_answers(judge: Judge, questions: Sequence[Question], predictions: Sequence[str]) -> list[Verdict]:
    """Whether each prediction means its question's reference: 1, 0, or none with a reason.

    Args:
        questions: [n], with their choices and the index of the right one.
        predictions: [n] texts, as the model said them, reasoning taken out.

    Raises ValueError where the lengths differ.
    """
    pairs = zip(questions, predictions, strict=True)
    asked = [judge.submit("answer", question, "", prediction) for question, prediction in pairs]
    return [verdict.result() for verdict in asked]
