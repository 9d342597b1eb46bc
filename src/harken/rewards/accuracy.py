"""The accuracy reward. It reads the grade that evaluation uses too, so that reward and reported accuracy agree."""

from harken.types import Grade


def accuracy(grade: Grade) -> float:
    """1.0 where the graded choice is the right one, else 0.0; an unreadable answer is wrong (Omni-R1, equation 2)."""
    return 1.0 if grade.correct else 0.0
