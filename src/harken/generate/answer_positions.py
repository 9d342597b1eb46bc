"""Balance the positions of the right answers (Omni-R1, III-C).

After the last filter, the right answers of a set are moved so that each position is equally frequent, within one. Which
question gets which position depends on the seed and the ids alone, not on the order of the questions or replies. A
position drawn for each question by itself would be balanced only on average.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harken.types import Question


def balance_answer_positions(questions: Iterable[Question], seed: int) -> Iterator[Question]:
    """Move each right choice to its position; the other choices keep their order.

    Args:
        questions: with unique ids, equally many choices and an answer each. They are read twice.

    Example:
        >>> ask = [Question(str(n), "?", ("right", "b", "c"), 0, None) for n in range(3)]
        >>> sorted(question.choices.index("right") for question in balance_answer_positions(ask, seed=0))
        [0, 1, 2]
    """
    ranks = _ranks([_digest(seed, question.id) for question in questions])
    for question, rank in zip(questions, ranks, strict=True):
        yield _move_answer(question, int(rank) % len(question.choices))


def _ranks(digests: list[bytes]) -> NDArray[np.int64]:
    """The place of each digest in their order; equal ones in the order of the list."""
    parts = np.frombuffer(b"".join(digests), ">u8").reshape(len(digests), 4)  # a SHA-256 has 32 bytes
    ranks = np.empty(len(digests), np.int64)
    ranks[np.lexsort(parts.T[::-1])] = np.arange(len(digests))
    return ranks


def _move_answer(question: Question, position: int) -> Question:
    assert question.answer is not None
    choices = [choice for index, choice in enumerate(question.choices) if index != question.answer]
    choices.insert(position, question.choices[question.answer])
    return replace(question, choices=tuple(choices), answer=position)


def _digest(seed: int, ident: str) -> bytes:
    return hashlib.sha256(f"{seed} {ident}".encode()).digest()
