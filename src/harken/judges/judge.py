"""The interface of a judge: `Judge`, and the `Verdict` that it returns.

Training and evaluation use judges through these types only, so that a test or a user can put another judge in place.
"""

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal, Protocol

from harken.types import Question

Aspect = Literal["consistency", "quality", "answer", "rubric"]
"""What is scored. consistency: whether the reasoning supports the answer, 0 or 1. quality: how good the reasoning is,
whatever the answer, 0 to 1 in steps of 0.1. answer: whether the answer means the same as the reference, 0 or 1.
rubric: how far reasoning and answer meet the criteria of the question's rubric, points / most points."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A score, or the reason why there is none.

    Attributes:
        score: in [0, 1]; None where the judge failed.
        reason: "" if there is a score, else why there is none, as `kind: detail`.
        fatal: whether every other call would fail in the same way (wrong key, model name or path).
    """

    score: float | None
    reason: str
    fatal: bool = False


class Judge(Protocol):
    def submit(self, aspect: Aspect, question: Question, reasoning: str, answer: str) -> Future[Verdict]:
        """Score one completion in the background. Errors of a server, a network or a model become a Verdict without a
        score; they never raise.

        `quality` ignores `answer`; `answer` ignores `reasoning`.
        """
        ...

    def close(self) -> None:
        """Cancel the calls that are under way, and release the model and the connections."""
        ...
