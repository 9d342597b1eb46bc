"""Rewards and advantages of a step, once all of its completions exist.

Takes the micro-batches of a step as they are sampled, puts what needs a judge to it, and at the end fills in what each
completion earned. The totals that a reward needs of the whole step are summed in one place, `_over_the_step`. Not
taken: rewards per micro-batch; the balance of Audio-Thinker is over the whole step.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

import torch

from harken.config import BUILT_IN_REWARDS, GrpoConfig, Recipe, RewardConfig
from harken.grpo.advantage import advantages
from harken.grpo.batch import MicroBatch
from harken.judges import FailureCount, FailureLimit, Judge, open_judge
from harken.judges.step_verdicts import BatchVerdicts, collect_verdicts, submit_completions
from harken.questions.prompt import Prompt
from harken.rewards import JudgeScores, StepTotals, compose, load_custom, reward_parts, step_totals
from harken.rewards.reward_parts import penalty_factors_at, think_shares
from harken.system.ranks import SINGLE_PROCESS, Ranks

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StepEarned:
    """What is known of a step's rewards beside the numbers in its batches.

    Attributes:
        tags_asked: whether the prompt asks for a form, so that there is one to count.
        figures: metric name -> value: lambda and the penalty factors, means over the step's completions; what the judge
            was asked, failed at and said, its scores as means over the completions it could score.
        warnings: lines to show, one for each kind of the judge's failures that was not seen before.
    """

    tags_asked: bool
    figures: dict[str, float]
    warnings: list[str] = field(default_factory=list)


class Rewarding:
    """The reward of a recipe, and its judge."""

    def __init__(
        self,
        config: RewardConfig,
        settings: GrpoConfig,
        prompt: Prompt,
        judge: Judge | None = None,
        limit: FailureLimit | None = None,
        ranks: Ranks = SINGLE_PROCESS,
    ) -> None:
        """`judge` is asked for what `config.judged` names, `limit` says when its failures are too many; both may be
        left out where it names nothing. Each rank asks a judge of its own about its own completions. Raises ConfigError
        where a function of the user's own cannot be imported."""
        self._ranks = ranks
        self._config, self._settings, self._prompt = config, settings, prompt
        self._judge, self._limit = judge, limit
        self._custom = {name: load_custom(name) for name in config.names if name not in BUILT_IN_REWARDS}
        self._weights = {part.name: part.weight for part in config.parts}

    def ask(self, batch: MicroBatch) -> None:
        """Put the finished groups of a batch to the judge; returns at once."""
        if self._judge is not None:
            batch.pending_verdicts = submit_completions(self._judge, self._config.judged, batch.responses)

    def __call__(self, batches: Sequence[MicroBatch], *, progress: float) -> StepEarned:
        """Wait for the judge, then fill `rewards`, `reward` and `advantages` of every batch.

        Args:
            batches: all of the step on this rank, each put to the judge before; stand-ins stay as they are.
            progress: updates made / all updates, for the schedule of the balance.

        Raises JudgeError where too many of the judge's calls failed.
        """
        batches = [batch for batch in batches if batch.responses]
        group = self._settings.completions_per_prompt
        started = time.perf_counter()
        deadline_s = self._ranks.judge_deadline_s
        deadline = None if deadline_s is None else started + deadline_s
        verdicts = [collect_verdicts(batch.pending_verdicts, deadline) for batch in batches]
        waited_s = time.perf_counter() - started
        totals, failures = self._over_the_step(batches, verdicts)
        warnings = [] if self._limit is None else self._limit.check_step(failures)
        shares = []
        for batch, batch_verdicts in zip(batches, verdicts, strict=True):
            batch.rewards = reward_parts(
                batch.responses,
                batch_verdicts.scores,
                group,
                self._config,
                self._prompt.form,
                self._custom,
                totals,
                progress,
            )
            total = torch.tensor(compose(batch.rewards, self._weights), dtype=torch.float64)
            batch.reward = total.view(-1, group)
            batch.advantages = advantages(batch.reward, scale=self._settings.scale_rewards).flatten()
            shares += think_shares(batch.responses, group, totals, self._config)
        figures = self._balance(self._everyones(shares), progress)
        if self._judge is not None:
            latency_s = self._everyones([seconds for part in verdicts for seconds in part.latency_s])
            judged = self._everyones([asdict(scores) for part in verdicts for scores in part.scores])
            figures |= _judge_figures([JudgeScores(**score) for score in judged], failures)
            figures |= {"time/judge_wait_s": max(self._everyones([waited_s])), "time/judge_latency_s": _mean(latency_s)}
        return StepEarned(self._prompt.form is not None, figures, warnings)

    def _over_the_step(
        self, batches: Sequence[MicroBatch], verdicts: Sequence[BatchVerdicts]
    ) -> tuple[StepTotals, FailureCount]:
        """The sums of the whole step. With several processes, theirs are added here and nowhere else."""
        own = [step_totals(batch.responses, part.scores) for batch, part in zip(batches, verdicts, strict=True)]
        totals = self._everyones([asdict(one) for one in own])
        failures = self._everyones([asdict(part.failures) for part in verdicts])
        return (
            sum((StepTotals(**one) for one in totals), start=StepTotals(0, 0)),
            sum((FailureCount(**one) for one in failures), start=FailureCount()),
        )

    def _everyones(self, own: list[T]) -> list[T]:
        """The same of all ranks, in their order."""
        return [one for part in self._ranks.gather(own) for one in part]

    def _balance(self, shares: Sequence[float], progress: float) -> dict[str, float]:
        if self._config.adaptive is None:
            return {}
        pairs = [penalty_factors_at(share, progress, self._config) for share in shares]
        return {
            "think/lambda": _mean(shares),
            "think/factor_think": _mean([pair.think for pair in pairs]),
            "think/factor_no_think": _mean([pair.no_think for pair in pairs]),
        }


@contextlib.contextmanager
def open_rewarding(recipe: Recipe, replies: Path, ranks: Ranks = SINGLE_PROCESS) -> Iterator[Rewarding]:
    """The reward of a recipe with its judge, if it needs one, until the block ends.

    Args:
        replies: folder where the judge's replies are kept; what it holds is not asked again. Ranks other than the first
            have folders of their own inside.

    Raises ConfigError for a function that cannot be imported and as `open_judge` does.
    """
    plan = (recipe.reward, recipe.grpo, Prompt.from_config(recipe.prompt))
    if not recipe.reward.judged:
        yield Rewarding(*plan, ranks=ranks)
        return
    config = recipe.judge
    assert config is not None  # as Recipe checks
    folder = replies if ranks.is_main else replies / f"rank_{ranks.rank:04d}"
    with contextlib.closing(ranks.run_in_turn(lambda: open_judge(config, folder))) as judge:
        yield Rewarding(*plan, judge, FailureLimit(config.max_failed_share), ranks)


def _judge_figures(judged: Sequence[JudgeScores], failures: FailureCount) -> dict[str, float]:
    """How often the judge was asked and failed, and the means of what it said over what it could score."""
    row = {"judge/asked": float(failures.n_calls), "judge/failed": float(failures.n_failed)}
    row["judge/failed_share"] = failures.failed_share
    for aspect in ("consistency", "quality"):
        scores = [score for one in judged if (score := getattr(one, aspect)) is not None]
        if scores:
            row[f"judge/{aspect}"] = _mean(scores)
    return row


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
