"""The parts of the reward over a whole step, from what needs the whole of it and what does not.

Takes all responses of one process in their groups with the judge's scores, and the totals of the step over all
processes; gives one list of numbers per part. Totals add up, so a step over several processes equals one over one: each
counts its own, the sums are put in their place, and every process goes on alone. Not taken: means of means.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass

from harken.config import RewardConfig
from harken.questions.prompt import ExpectedForm
from harken.rewards.accuracy import accuracy
from harken.rewards.adaptive import Factors, consistent, factors, think_accuracy
from harken.rewards.custom import CustomReward
from harken.rewards.format import format_reward
from harken.rewards.judged import Judged, consistency, quality
from harken.types import Response


@dataclass(frozen=True, slots=True)
class StepTotals:
    """Sums over completions; those of several processes are added."""

    think: int
    valid: int
    quality_sum: float = 0.0
    quality_n: int = 0

    def __add__(self, other: "StepTotals") -> "StepTotals":
        return StepTotals(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def think_share(self) -> float:
        """lambda: share of think completions among the valid ones; 0 where none is valid."""
        return self.think / self.valid if self.valid else 0.0

    @property
    def quality_mean(self) -> float:
        """Mean R_t of the think completions that the judge could score; 0 where there are none."""
        return self.quality_sum / self.quality_n if self.quality_n else 0.0


def step_totals(responses: Sequence[Response], judged: Sequence[Judged]) -> StepTotals:
    """What these completions add to the totals of their step."""
    scores = [one.quality for one in judged if one.quality is not None]
    return StepTotals(
        think=sum(response.form == "think" for response in responses),
        valid=sum(response.form != "malformed" for response in responses),
        quality_sum=sum(scores),
        quality_n=len(scores),
    )


def balance_of(responses: Sequence[Response], group: int, totals: StepTotals, config: RewardConfig) -> list[float]:
    """[R] lambda of each completion: the step's, or its own group's with `balance_scope: group`."""
    if config.adaptive is None or config.adaptive.balance_scope == "step":
        return [totals.think_share] * len(responses)
    nothing = [Judged()] * group
    shares = [
        step_totals(responses[start : start + group], nothing).think_share for start in range(0, len(responses), group)
    ]
    return [share for share in shares for _ in range(group)]


def reward_parts(
    responses: Sequence[Response],
    judged: Sequence[Judged],
    group: int,
    config: RewardConfig,
    form_expected: ExpectedForm | None,
    custom: Mapping[str, CustomReward],
    totals: StepTotals,
    progress: float,
) -> dict[str, list[float]]:
    """Part name -> [R] values, not weighed.

    Args:
        responses, judged: [R], whole groups of `group` completions.
        custom: the functions of the parts named `module:function`.
        totals: of the whole step, over all processes.
        progress: updates made / all updates.
    """
    parts: dict[str, list[float]] = {}
    for name in config.names:
        match name:
            case "accuracy":
                parts[name] = [accuracy(response.grade) for response in responses]
            case "format":
                parts[name] = [format_reward(response.text, form_expected) for response in responses]
            case "adaptive":
                parts[name] = _adaptive(responses, judged, group, config, totals, progress)
            case "quality":
                scored = zip(responses, judged, strict=True)
                parts[name] = [quality(said.form, one.quality, totals.quality_mean) for said, one in scored]
            case _:
                parts[name] = [custom[name](response) for response in responses]
    return parts


def factors_of(share: float, progress: float, config: RewardConfig) -> Factors:
    """The penalty factors at one lambda; both 1 with `balance: false`."""
    balanced = config.adaptive is not None and config.adaptive.balance
    return factors(share, progress if balanced else 1.0)


def _adaptive(responses, judged, group: int, config: RewardConfig, totals: StepTotals, progress: float) -> list[float]:
    options = config.adaptive
    assert options is not None
    values = []
    for said, one, share in zip(responses, judged, balance_of(responses, group, totals, config), strict=True):
        value = think_accuracy(said.form, said.grade.correct, factors_of(share, progress, config))
        if options.consistency is not None:
            r_c = consistency(said.form, one.consistency)
            value = consistent(value, r_c, said.grade.correct, consistency=options.consistency)
        values.append(value)
    return values
