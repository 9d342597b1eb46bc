"""Accuracy reward: takes a grade, gives 1 or 0.

Not taken: any reading of the text here. The grade is the one that evaluation uses, so reward and result cannot differ.
"""

from harken.types import Grade


def accuracy(grade: Grade) -> float:
    """1.0 where the graded choice is the right one, else 0.0; unreadable is wrong (Omni-R1, equation 2)."""
    return 1.0 if grade.correct else 0.0
