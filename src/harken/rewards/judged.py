"""The rewards that need a judge: consistency R_c and quality R_t (Audio-Thinker, sections 4.2.3 and 4.2.4).

The judge scores only completions of the form think. Where it fails, no score is invented: a reward of 0 for a failed
call would teach the model something that no judge decided.
"""

from dataclasses import dataclass

from harken.types import Form


@dataclass(frozen=True, slots=True)
class JudgeScores:
    """The judge's scores of one completion, each 0 to 1. None: the judge was not called for it, or it failed."""

    consistency: float | None = None
    quality: float | None = None
    answer: float | None = None


def consistency(form: Form | None, score: float | None) -> float | None:
    """R_c: 1 where the reasoning supports the answer, else 0; 1 for no-think; 0 for a malformed output [O].

    None where the judge failed.
    """
    if form == "think":
        return score
    return 1.0 if form == "no_think" else 0.0


def quality(form: Form | None, score: float | None, mean: float) -> float:
    """R_t: the judge's score of the reasoning; 0 for a malformed output [O].

    Args:
        mean: the mean score of the step's think completions that the judge could score, 0 where there are none. A
            no-think completion earns it, and so does a think completion on which the judge failed.
    """
    if form not in ("think", "no_think"):
        return 0.0
    return mean if form == "no_think" or score is None else score
