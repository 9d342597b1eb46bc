"""Where the right answer stands.

Takes the questions that are kept, gives them with each position of the right answer equally frequent, within one
(Omni-R1, III-C), after the last filter. Which question gets which position depends on the seed and the ids alone,
neither on the order of the questions nor on that of the replies. Not taken: drawing each position by itself, which is
balanced only on average.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from harken.types import Question


def balanced(questions: Sequence[Question], seed: int) -> list[Question]:
    """Move each right choice to its position; the others keep their order. All have equally many choices and an
    answer; ids are unique.

    Example:
        >>> ask = [Question(str(n), "?", ("right", "b", "c"), 0, None) for n in range(3)]
        >>> sorted(question.choices.index("right") for question in balanced(ask, seed=0))
        [0, 1, 2]
    """
    shuffled = sorted(range(len(questions)), key=lambda i: (_digest(seed, questions[i].id), i))
    position = {index: place % len(questions[index].choices) for place, index in enumerate(shuffled)}
    return [_moved(question, position[index]) for index, question in enumerate(questions)]


def _moved(question: Question, position: int) -> Question:
    assert question.answer is not None
    others = [choice for index, choice in enumerate(question.choices) if index != question.answer]
    others.insert(position, question.choices[question.answer])
    return replace(question, choices=tuple(others), answer=position)


def _digest(seed: int, ident: str) -> bytes:
    return hashlib.sha256(f"{seed} {ident}".encode()).digest()
