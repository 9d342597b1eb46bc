"""Balance the positions of the right answers (Omni-R1, III-C).

After the last filter, the right answers of a set are moved so that each position is equally frequent, within one. Which
question gets which position depends on the seed and the ids alone, not on the order of the questions or replies. A
position drawn for each question by itself would be balanced only on average.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from harken.types import Question


def balance_answer_positions(questions: Sequence[Question], seed: int) -> list[Question]:
    """Move each right choice to its position; the other choices keep their order.

    Args:
        questions: with unique ids, equally many choices and an answer each.

    Example:
        >>> ask = [Question(str(n), "?", ("right", "b", "c"), 0, None) for n in range(3)]
        >>> sorted(question.choices.index("right") for question in balance_answer_positions(ask, seed=0))
        [0, 1, 2]
    """
    shuffled = sorted(range(len(questions)), key=lambda i: (_digest(seed, questions[i].id), i))
    position = {index: rank % len(questions[index].choices) for rank, index in enumerate(shuffled)}
    return [_move_answer(question, position[index]) for index, question in enumerate(questions)]


def _move_answer(question: Question, position: int) -> Question:
    assert question.answer is not None
    choices = [choice for index, choice in enumerate(question.choices) if index != question.answer]
    choices.insert(position, question.choices[question.answer])
    return replace(question, choices=tuple(choices), answer=position)


def _digest(seed: int, ident: str) -> bytes:
    return hashlib.sha256(f"{seed} {ident}".encode()).digest()
