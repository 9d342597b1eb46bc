"""Rewards the completions of a step: waits for the judge's verdicts, then computes rewards and advantages.

Sampled micro-batches are handed to the judge one by one (`start_judging`), so that it works while the next one is
sampled. Rewards follow once the whole step is there, because some need totals over all of it (`_totals`).
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from harken.config import BUILT_IN_REWARDS, GrpoConfig, Recipe, RewardConfig
from harken.grpo.advantage import group_values
from harken.grpo.measured_parts import measured_parts
from harken.grpo.micro_batch import RewardedBatch, SampledBatch, ScoredBatch
from harken.grpo.own_rewards import OwnRewards
from harken.grpo.reward_figures import judge_figures, listening_figures, think_figures
from harken.grpo.step_advantages import normalize_over_step
from harken.grpo.without_clip_pass import heard_groups
from harken.judges import FailureCount, FailureLimit, Judge, open_judge
from harken.judges.step_verdicts import BatchVerdicts, collect_verdicts, submit_completions, wait_for_verdicts
from harken.questions.prompt import Prompt
from harken.rewards import JudgeScores, StepTotals, compose, load_custom, reward_parts, step_totals
from harken.rewards.reward_parts import think_shares
from harken.system.ranks import SINGLE_PROCESS, Ranks

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StepRewards:
    """The rewarded micro-batches of this rank, and what is known of the rewards of the whole step.

    Attributes:
        asks_for_tags: whether the prompt asks for `<think>` or `<answer>` tags, so that forms can be counted.
        figures: metric name -> value, over all ranks: lambda and the penalty factors as means over completions; calls
            to the judge, failed calls, and its mean scores over the completions that it could score; what the clip adds
            where the reward has the part listening.
        warnings: lines to show, one for each kind of judge failure that was not seen before.
    """

    batches: list[RewardedBatch]
    asks_for_tags: bool
    figures: dict[str, float]
    warnings: list[str]


class Rewarder:
    """The reward that a recipe describes, with its judge if it needs one."""

    def __init__(
        self,
        config: RewardConfig,
        settings: GrpoConfig,
        prompt: Prompt,
        judge: Judge | None = None,
        limit: FailureLimit | None = None,
        ranks: Ranks = SINGLE_PROCESS,
    ) -> None:
        """Import the user's own reward functions.

        Args:
            judge: scores the aspects in `config.judged`; not needed where that is empty. Each rank has a judge of its
                own for its own completions.
            limit: stops the run where too many calls to the judge fail.

        Raises ConfigError where a user's function cannot be imported.
        """
        self._ranks = ranks
        self._config, self._settings, self._prompt = config, settings, prompt
        self._judge, self._limit = judge, limit
        functions = [load_custom(name) for name in config.names if name not in BUILT_IN_REWARDS]
        self._own = OwnRewards(functions, prompt, settings.completions_per_prompt, ranks)
        self._own_values: dict[str, list[float]] | None = None
        self._weights = {part.name: part.weight for part in config.parts}
        self._deadline: float | None = None
        self._waited_s = 0.0
        self._previewed: FailureCount | None = None

    def start_judging(self, batch: SampledBatch) -> SampledBatch:
        """The batch with the verdicts on it under way. Returns at once."""
        if self._judge is None:
            return batch
        return replace(batch, pending_verdicts=submit_completions(self._judge, self._config.judged, batch.responses))

    def wait(self, batches: Sequence[ScoredBatch]) -> None:
        """Call the user's own functions, and wait for the judge's verdicts on all completions of this rank, or until
        the run is to stop.

        Raises HarkenError where a function raises, or returns anything but finite numbers.
        """
        started = time.perf_counter()
        limit_s = self._ranks.judge_deadline_s
        self._deadline = None if limit_s is None else started + limit_s
        self._own_values = self._own.call(batches, self._deadline)
        waiting_from = time.perf_counter()
        wait_for_verdicts([batch.sampled.pending_verdicts for batch in batches], self._deadline)
        self._waited_s = time.perf_counter() - waiting_from

    def reward(self, batches: Sequence[ScoredBatch], *, progress: float) -> StepRewards:
        """Reward every completion. Call `wait` before; verdicts that are late count as failed.

        Args:
            batches: all of the step on this rank, after `start_judging`.
            progress: updates made / all updates, for the schedule of the penalty factors.

        Raises JudgeError where too many of the judge's calls failed.
        """
        rewarded, verdicts, totals = self._reward_all(batches, progress)
        failures = self._failures(verdicts) if self._previewed is None else self._previewed
        self._previewed = None
        self._own.forget()
        warnings = [] if self._limit is None else self._limit.check_step(failures)
        normalize_over_step(rewarded, self._settings, self._ranks)
        figures = self._think_figures(batches, totals, progress) | self._listening_figures(batches)
        if self._judge is not None:
            figures |= self._judge_figures(verdicts, failures, self._waited_s)
        return StepRewards(rewarded, self._prompt.tags_asked, figures, warnings)

    def preview(self, batches: Sequence[ScoredBatch], *, progress: float) -> list[Tensor]:
        """The values by which resampling compares the completions of a group, [P, G] for each batch: the rewards that
        they would earn if they were all of a step, or with `resample_by: accuracy` 1 for a right answer and 0 for a
        wrong one. Call `wait` before.

        The judge's calls are counted with those of the step that is rewarded next, which may keep some of the
        completions.
        """
        rewarded, verdicts, _ = self._reward_all(batches, progress)
        self._previewed = self._failures(verdicts) + (self._previewed or FailureCount())
        if self._settings.resample_by == "reward":
            return [batch.rewards for batch in rewarded]
        return [_whether_right(batch) for batch in rewarded]

    def _reward_all(
        self, batches: Sequence[ScoredBatch], progress: float
    ) -> tuple[list[RewardedBatch], list[BatchVerdicts], StepTotals]:
        """(the batches with rewards, and advantages within groups; the judge's verdicts; totals of all ranks)."""
        verdicts = [collect_verdicts(batch.sampled.pending_verdicts, self._deadline) for batch in batches]
        totals = self._totals(batches, verdicts)
        values = self._own.call(batches) if self._own_values is None else self._own_values
        custom, first, rewarded = values or {}, 0, []
        for batch, verdict in zip(batches, verdicts, strict=True):
            rows = slice(first, first + len(batch.sampled.responses))
            own = {name: column[rows] for name, column in custom.items()}
            rewarded.append(self._rewarded(batch, verdict.scores, own, totals, progress))
            first = rows.stop
        self._own_values = None
        return rewarded, verdicts, totals

    def _rewarded(
        self,
        batch: ScoredBatch,
        scores: Sequence[JudgeScores],
        custom: Mapping[str, Sequence[float]],
        totals: StepTotals,
        progress: float,
    ) -> RewardedBatch:
        responses, group = batch.sampled.responses, self._settings.completions_per_prompt
        if not responses:  # a stand-in
            rows = len(batch.sampled.completions.tokens)
            no_rewards = torch.zeros(0, group, dtype=torch.float64)
            no_advantages = torch.zeros(rows, dtype=torch.float64)
            return RewardedBatch(batch.sampled, batch.reference_logp, {}, no_rewards, no_advantages)
        computed = {**custom, **measured_parts(batch, self._config, self._settings)}
        parts = reward_parts(responses, scores, group, self._config, self._prompt.form, computed, totals, progress)
        rewards = torch.tensor(compose(parts, self._weights), dtype=torch.float64).view(-1, group)
        return RewardedBatch(
            sampled=batch.sampled,
            reference_logp=batch.reference_logp,
            reward_parts=parts,
            rewards=rewards,
            advantages=group_values(
                self._settings.advantage, rewards, parts, self._weights, scale=self._settings.scale_rewards is True
            ).flatten(),
        )

    def _listening_figures(self, batches: Sequence[ScoredBatch]) -> dict[str, float]:
        if self._config.listening_options is None:
            return {}
        groups = [group for batch in batches for group in heard_groups(batch.sampled) if group is not None]
        gains = [(completion.gain_nats, completion.correct) for group in groups for completion in group]
        return listening_figures(self._from_all_ranks(gains))

    def _totals(self, batches: Sequence[ScoredBatch], verdicts: Sequence[BatchVerdicts]) -> StepTotals:
        """The totals over the whole step and all ranks."""
        own = [
            step_totals(batch.sampled.responses, verdict.scores)
            for batch, verdict in zip(batches, verdicts, strict=True)
        ]
        totals = self._from_all_ranks([asdict(part) for part in own])
        return sum((StepTotals(**part) for part in totals), start=StepTotals(0, 0))

    def _failures(self, verdicts: Sequence[BatchVerdicts]) -> FailureCount:
        """The judge's failures over the whole step and all ranks."""
        counts = self._from_all_ranks([asdict(verdict.failures) for verdict in verdicts])
        return sum((FailureCount(**count) for count in counts), start=FailureCount())

    def _from_all_ranks(self, own: list[T]) -> list[T]:
        """The items of all ranks, in the order of the ranks."""
        return [item for items in self._ranks.gather(own) for item in items]

    def _think_figures(self, batches: Sequence[ScoredBatch], totals: StepTotals, progress: float) -> dict[str, float]:
        group = self._settings.completions_per_prompt
        own = [
            share for batch in batches for share in think_shares(batch.sampled.responses, group, totals, self._config)
        ]
        return think_figures(self._from_all_ranks(own), progress, self._config)

    def _judge_figures(
        self, verdicts: Sequence[BatchVerdicts], failures: FailureCount, waited_s: float
    ) -> dict[str, float]:
        latency_s = self._from_all_ranks([seconds for verdict in verdicts for seconds in verdict.latency_s])
        scores = self._from_all_ranks([asdict(score) for verdict in verdicts for score in verdict.scores])
        return judge_figures(scores, latency_s, failures, max(self._from_all_ranks([waited_s])))


def _whether_right(batch: RewardedBatch) -> Tensor:
    """[P, G] 1 for a right answer and 0 for another; the reward for questions without choices."""
    responses = batch.sampled.responses
    right = torch.tensor([float(response.grade.correct) for response in responses], dtype=torch.float64)
    is_open = torch.tensor([not question.choices for question in batch.sampled.questions], dtype=torch.bool)
    return torch.where(is_open[:, None], batch.rewards, right.view_as(batch.rewards))


@contextlib.contextmanager
def open_rewarder(recipe: Recipe, replies: Path, ranks: Ranks = SINGLE_PROCESS) -> Iterator[Rewarder]:
    """The reward of a recipe; its judge, if it needs one, is open until the block ends.

    Args:
        replies: folder in which the judge's replies are kept; a call with a kept reply is not made again. Every rank
            but the first has a folder of its own inside.

    Raises ConfigError for a function that cannot be imported, and what `open_judge` raises.
    """
    prompt = Prompt.from_config(recipe.prompt)
    if not recipe.reward.judged:
        yield Rewarder(recipe.reward, recipe.grpo, prompt, ranks=ranks)
        return
    config = recipe.judge
    assert config is not None  # `Recipe` refuses a judged reward without a judge
    folder = replies if ranks.is_main else replies / f"rank_{ranks.rank:04d}"
    with contextlib.closing(ranks.run_in_turn(lambda: open_judge(config, folder))) as judge:
        limit = FailureLimit(config.max_failed_share)
        yield Rewarder(recipe.reward, recipe.grpo, prompt, judge, limit, ranks)
