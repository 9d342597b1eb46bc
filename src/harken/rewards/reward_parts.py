"""Computes every part of the reward, for all completions of one process and step.

Some parts need the whole step: the share of thinking, the mean quality. Each process computes the `StepTotals` of its
own completions, the totals of all processes are added, and every process rewards its completions with the sum. A step
over several processes therefore earns what it earns in one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harken.config import RewardConfig
from harken.questions.prompt import ExpectedForm
from harken.rewards.accuracy import accuracy
from harken.rewards.adaptive import PenaltyFactors, penalty_factors, priced_accuracy, think_accuracy, with_consistency
from harken.rewards.format import format_reward
from harken.rewards.judged import JudgeScores, consistency, quality
from harken.rewards.open_questions import open_answers, transcript
from harken.types import Response


@dataclass(frozen=True, slots=True)
class StepTotals:
    """Sums over completions. The totals of several processes are added with `+`.

    Attributes:
        think: number of completions of the form think.
        valid: number of completions of the form think or no_think.
        quality_sum, quality_n: sum and number of the judge's quality scores.
    """

    think: int
    valid: int
    quality_sum: float = 0.0
    quality_n: int = 0

    def __add__(self, other: "StepTotals") -> "StepTotals":
        return StepTotals(
            think=self.think + other.think,
            valid=self.valid + other.valid,
            quality_sum=self.quality_sum + other.quality_sum,
            quality_n=self.quality_n + other.quality_n,
        )

    @property
    def think_share(self) -> float:
        """lambda: the share of think completions among the valid ones; 0 where none is valid."""
        return self.think / self.valid if self.valid else 0.0

    @property
    def quality_mean(self) -> float:
        """Mean quality of the think completions that the judge could score; 0 where there are none."""
        return self.quality_sum / self.quality_n if self.quality_n else 0.0


def step_totals(responses: Sequence[Response], scores: Sequence[JudgeScores]) -> StepTotals:
    """The totals of these completions; `scores` are the judge's, one for each."""
    qualities = [score.quality for score in scores if score.quality is not None]
    return StepTotals(
        think=sum(response.form == "think" for response in responses),
        valid=sum(response.form in ("think", "no_think") for response in responses),
        quality_sum=sum(qualities),
        quality_n=len(qualities),
    )


def think_shares(responses: Sequence[Response], group: int, totals: StepTotals, config: RewardConfig) -> list[float]:
    """[R] lambda of each completion: that of the step, or that of its own group with `balance_scope: group`."""
    if config.adaptive_options is None or config.adaptive_options.balance_scope == "step":
        return [totals.think_share] * len(responses)
    no_scores = [JudgeScores()] * group
    shares = [
        step_totals(responses[start : start + group], no_scores).think_share
        for start in range(0, len(responses), group)
    ]
    return [share for share in shares for _ in range(group)]


def penalty_factors_at(think_share: float, progress: float, config: RewardConfig) -> PenaltyFactors:
    """The penalty factors of the recipe at one lambda; both are 1 with `balance: false`."""
    balanced = config.adaptive_options is not None and config.adaptive_options.balance
    return penalty_factors(think_share, progress if balanced else 1.0)


def reward_parts(
    responses: Sequence[Response],
    scores: Sequence[JudgeScores],
    group: int,
    config: RewardConfig,
    form_expected: ExpectedForm | None,
    computed: Mapping[str, Sequence[float]],
    totals: StepTotals,
    progress: float,
) -> dict[str, list[float]]:
    """Part name -> [R] values, without their weights.

    Args:
        responses, scores: [R], whole groups of `group` completions, and the judge's scores of each.
        computed: part name -> [R] the parts that need more than responses: those of the user's own functions
            (`custom_rewards`), listening and overlong.
        totals: over the whole step and all processes.
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
                parts[name] = _adaptive(responses, scores, group, config, totals, progress)
            case "quality":
                parts[name] = [
                    quality(response.form, score.quality, totals.quality_mean)
                    for response, score in zip(responses, scores, strict=True)
                ]
            case "open_answer":
                parts[name] = open_answers(responses, [score.answer for score in scores], group)
            case "transcript":
                parts[name] = [transcript(response) for response in responses]
            case _:
                parts[name] = list(computed[name])
    return parts


def _adaptive(
    responses: Sequence[Response],
    scores: Sequence[JudgeScores],
    group: int,
    config: RewardConfig,
    totals: StepTotals,
    progress: float,
) -> list[float]:
    """[R] R_a, times (1 + 0.5 R_c) where the recipe says so; with a price for thinking the value that it has."""
    options = config.adaptive_options
    assert options is not None
    shares = think_shares(responses, group, totals, config)
    values = []
    for response, score, think_share in zip(responses, scores, shares, strict=True):
        correct = response.grade.correct
        factors = penalty_factors_at(think_share, progress, config)
        if options.thinking_price is not None:
            values.append(priced_accuracy(response.form, correct, factors, options.thinking_price))
            continue
        value = think_accuracy(response.form, correct, factors)
        if options.consistency is not None:
            r_c = consistency(response.form, score.consistency)
            value = with_consistency(value, r_c, correct, consistency=options.consistency)
        values.append(value)
    return values
