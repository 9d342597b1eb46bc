"""What a judge gives and how it is asked: the types that training, evaluation and the judges share."""

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal, Protocol

from harken.types import Question

Aspect = Literal["consistency", "quality", "answer"]
"""consistency: whether the reasoning supports the answer, 0 or 1. quality: of the reasoning alone, 0 to 1 in steps of
0.1. answer: whether the answer means the reference, 0 or 1."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A score, or none.

    Attributes:
        score: in [0, 1]; None where the judge failed.
        reason: "" beside a score; else why there is none, as `kind: detail`.
        fatal: whether asking anything else would fail in the same way (key, model name, path).
    """

    score: float | None
    reason: str
    fatal: bool = False


class Judge(Protocol):
    def submit(self, aspect: Aspect, question: Question, reasoning: str, answer: str) -> Future[Verdict]:
        """Ask in the background. What a server, a network or a model does is a Verdict, never an exception.

        `quality` does not look at `answer`; `answer` does not look at `reasoning`.
        """
        ...

    def close(self) -> None:
        """Give up what is under way and release model and connections."""
        ...
