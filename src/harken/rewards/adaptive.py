"""Adaptive think accuracy reward (ATAR): takes the form of a completion, whether it is right and the share of thinking
in the batch, gives R_a (Audio-Thinker 4.2.2, equations 1 to 5).

A right answer without thinking earns most and a wrong one loses most, so thinking pays where it helps. Two penalty
factors favour the mode that is rarer in the batch and fade out until the last step. Not taken: reading a malformed
output as no-think; a model then drops its opening tag and is paid for it.
"""

import math
from dataclasses import dataclass
from typing import Literal

from harken.types import Form


@dataclass(frozen=True, slots=True)
class Factors:
    """Penalty factors, in (0, 1]; 1 changes nothing."""

    think: float
    no_think: float


def factors(think_share: float, progress: float) -> Factors:
    """g_think = exp(-lambda (1 - p)), g_nothink = exp(-(1 - lambda) (1 - p)) (equations 3 and 4).

    Args:
        think_share: lambda, share of think completions among the batch's valid ones, in [0, 1].
        progress: p, updates made / all updates, clamped to [0, 1]. At 1 both factors are 1: no balance.

    Example:
        >>> factors(0.9, 1.0)
        Factors(think=1.0, no_think=1.0)
    """
    left = 1 - min(1.0, max(0.0, progress))
    return Factors(math.exp(-think_share * left), math.exp(-(1 - think_share) * left))


def think_accuracy(form: Form, correct: bool, g: Factors) -> float:
    """R_a of one completion. At factors 1: think 1 or 0, no-think 2 or -1 (right or wrong).

    A malformed output has the value of think and wrong, whatever it says [O].
    """
    if form == "no_think":
        return 2 * g.no_think if correct else -g.no_think - 2 * (1 - g.no_think)
    return g.think if form == "think" and correct else -(1 - g.think)


def consistent(
    r_a: float, r_c: float | None, correct: bool, *, consistency: Literal["equation", "correct_only"]
) -> float:
    """R_a (1 + 0.5 R_c), Audio-Thinker equation 7; `correct_only` leaves a wrong answer's R_a as it is [O].

    Args:
        r_c: consistency reward; None where the judge failed, which leaves the factor at 1.
    """
    if r_c is None or (consistency == "correct_only" and not correct):
        return r_a
    return r_a * (1 + 0.5 * r_c)
