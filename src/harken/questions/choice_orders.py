"""The orders in which the choices of a question are shown, in each of its wordings, and the types for the answers that
come back.

Draws the orders from a seed and the question's id. `harken.results.trials` computes the figures over several answers
to each question.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harken.system.random import uniforms
from harken.types import Question


@dataclass(frozen=True, slots=True)
class Trial:
    """A question in one wording with its choices in one order; `order` counts both, all orders of a wording together,
    and 0 is the wording and the order of the file."""

    question: Question
    order: int = 0

    @property
    def key(self) -> tuple[str, int]:
        return self.question.id, self.order


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one sample of a trial.

    Attributes:
        tokens: number of tokens of the completion; None where the server does not report it.
        ended: False where the completion was cut at the maximum length.
        failure: why there is no answer; "" where there is an answer.
    """

    text: str
    tokens: int | None
    ended: bool
    failure: str = ""


def trials_of(question: Question, n: int, seed: int, wordings: Sequence[str] = ()) -> list[Trial]:
    """The question in `n` orders of its choices: the order of the file, then orders drawn from (seed, question id).
    With other wordings of its text the same orders follow for each of them.

    The orders differ until there are no more; then the same ones follow again.
    """
    orders = list(itertools.islice(_orders(question, seed), n))
    texts = (question.text, *wordings)
    return [
        Trial(_reordered(replace(question, text=text), orders[k % len(orders)]), w * n + k)
        for w, text in enumerate(texts)
        for k in range(n)
    ]


def _orders(question: Question, seed: int) -> Iterator[tuple[int, ...]]:
    size = len(question.choices)
    seen = {tuple(range(size))}
    yield from seen
    for draw in itertools.count():
        if len(seen) == math.factorial(size):
            return
        order = tuple(int(place) for place in np.argsort(uniforms(seed, draw, question.id, 0, size)))
        if order not in seen:
            seen.add(order)
            yield order


def _reordered(question: Question, order: Sequence[int]) -> Question:
    choices = tuple(question.choices[place] for place in order)
    answer = None if question.answer is None else order.index(question.answer)
    return replace(question, choices=choices, answer=answer)
