"""The adaptive think accuracy reward (ATAR) R_a of Audio-Thinker (section 4.2.2, equations 1 to 5).

A right answer without thinking earns most and a wrong one loses most, so thinking pays on questions that the model is
unsure of, whether thinking helps on them or not (`no_think_threshold`). Two penalty factors favour the mode (think or
no-think) that is rarer in the batch; they grow to 1 by the last step, where they change nothing.
"""

import math
from dataclasses import dataclass

from harken.config.reward import Consistency
from harken.types import Form


@dataclass(frozen=True, slots=True)
class PenaltyFactors:
    """The factors of the two modes, each in (0, 1]; a factor of 1 changes nothing."""

    think: float
    no_think: float


def penalty_factors(think_share: float, progress: float) -> PenaltyFactors:
    """g_think = exp(-lambda (1 - p)), g_nothink = exp(-(1 - lambda) (1 - p)) (equations 3 and 4).

    Args:
        think_share: lambda, the share of think completions among the batch's valid ones, in [0, 1].
        progress: p, updates made / all updates, clamped to [0, 1]. At 1 both factors are 1.

    Example:
        >>> penalty_factors(0.9, 1.0)
        PenaltyFactors(think=1.0, no_think=1.0)
    """
    left = 1 - min(1.0, max(0.0, progress))
    return PenaltyFactors(math.exp(-think_share * left), math.exp(-(1 - think_share) * left))


def think_accuracy(form: Form | None, correct: bool, factors: PenaltyFactors) -> float:
    """R_a of one completion. With both factors at 1 it is 1 or 0 for think and 2 or -1 for no-think (right or wrong).

    A malformed output earns what a wrong answer after thinking earns, whatever it answers [O]. If it counted as
    no-think, a model would be paid for dropping its opening tag.
    """
    if form == "no_think":
        return 2 * factors.no_think if correct else -factors.no_think - 2 * (1 - factors.no_think)
    return factors.think if form == "think" and correct else -(1 - factors.think)


def priced_accuracy(form: Form | None, correct: bool, factors: PenaltyFactors, price: float) -> float:
    """1 for a right answer, minus the price of thinking, minus 1 - g of the mode [O] (docs/rewards.md).

    With p right without thinking and q with it, the two modes earn q - price - (1 - g) and p - (1 - h) on average, so
    at the end of the schedule thinking earns more where q - p > price: where it helps by more than it costs. A
    malformed output earns what a wrong answer after thinking earns, as in `think_accuracy`.
    """
    if form == "no_think":
        return float(correct) - (1 - factors.no_think)
    return float(form == "think" and correct) - price - (1 - factors.think)


def no_think_threshold(think_right: float, factors: PenaltyFactors) -> float:
    """The accuracy without thinking above which answers without thinking earn more R_a on average.

    With p right without thinking and q with it, g and h the factors of think and no-think:

        think      q g - (1 - q) (1 - g)             = q + g - 1
        no-think   2 p h - (1 - p) (h + 2 (1 - h))   = p (2 + h) + h - 2

    so no-think earns more where p > (q + g + 1 - h) / (2 + h). With both factors at 1 this is p > (1 + q) / 3: at
    q = 0.95 a model drops its thinking from p = 0.65 on, though thinking helps, and at p = q it keeps thinking below
    0.5, though thinking does not help.

    Args:
        think_right: q, the accuracy with thinking, in [0, 1].

    Returns:
        A value of p; above 1 where thinking earns more whatever p is.
    """
    return (think_right + factors.think + 1 - factors.no_think) / (2 + factors.no_think)


def with_consistency(r_a: float, r_c: float | None, correct: bool, *, consistency: Consistency) -> float:
    """R_a (1 + 0.5 R_c), Audio-Thinker equation 7; `correct_only` leaves the R_a of a wrong answer unchanged [O].

    Args:
        r_c: the consistency reward; None where the judge failed, and then the factor is 1.
    """
    if r_c is None or (consistency == "correct_only" and not correct):
        return r_a
    return r_a * (1 + 0.5 * r_c)
