"""One step of GRPO, from questions to updated weights.

sample_completions.py  samples G completions for each question; the judge works on them from then on
reference_pass.py      scores the completions with the reference
without_clip_pass.py   scores them without their clip, where the reward has the part listening
rewarding.py           rewards them and compares those of one prompt, once the whole step is there
update.py              updates the policy
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from harken.config import GrpoConfig
from harken.grpo.metrics import step_metrics
from harken.grpo.micro_batch import RewardedBatch, SampledBatch
from harken.grpo.reference_pass import kl_where_nothing_moved, score_with_reference
from harken.grpo.rewarding import Rewarder
from harken.grpo.rollout_rows import RolloutRow, rollout_rows
from harken.grpo.sample_completions import sample_completions, stand_in
from harken.grpo.update import update
from harken.grpo.without_clip_pass import WithoutClip
from harken.inference.engine import RolloutEngine
from harken.models.audio_lm import ModelInput
from harken.models.policy import mixed_precision
from harken.models.sharding import gathered
from harken.planning.step_sizes import step_sizes
from harken.system.console import print_warning
from harken.system.stop_signals import WorkAbandonedError, abandonable, stop_requested
from harken.training.schedule import learning_rate_at
from harken.training.session import Session
from harken.types import Question

LARGEST_GAP = 0.1
"""Nats a token, mean over a step, above which an engine is said to sample from another model; kernels in bfloat16 that
round differently give about 0.01."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """The completions of all ranks as rows for the run folder, in whole groups, and the step's metric row."""

    rows: list[RolloutRow]
    metrics: dict[str, float]


class GrpoStep:
    """Runs one step after another. Where memory does not suffice for what is computed together, all later
    steps compute less together."""

    def __init__(self, session: Session, settings: GrpoConfig, rewarder: Rewarder, engine: RolloutEngine) -> None:
        self._session, self._settings, self._rewarder, self._engine = session, settings, rewarder, engine
        self._sizes = step_sizes(session.recipe, settings, session.ranks.size)
        self._without_clip = _without_clip(session, settings)

    def run(self, step: int, questions: Sequence[Question], inputs: Iterator[Sequence[ModelInput]]) -> StepResult:
        """Make step `step` (1-based) from this rank's questions; `inputs` gives what the model reads of them next.

        Raises WorkAbandonedError on all ranks, before anything has changed, where the run is to stop.
        """
        session, settings, ranks = self._session, self._settings, self._session.ranks
        policy, progress = session.policy, (step - 1) / settings.steps
        learning_rate = learning_rate_at(
            step - 1, settings.steps, settings.learning_rate, settings.schedule, settings.warmup_share
        )
        started = time.perf_counter()
        inputs_of_step = next(inputs)
        with mixed_precision(policy, session.recipe.model.precision):
            sampled = self._sample(step, questions, inputs_of_step)
            rollout_s = time.perf_counter() - started
            scored = score_with_reference(policy, session.reference, sampled, settings, session.warn, ranks)
            if self._without_clip is not None:
                scored = self._without_clip.score(scored, session.warn, ranks)
            self._rewarder.wait(scored)
            if ranks.any(stop_requested() is not None):
                raise WorkAbandonedError
            rewards = self._rewarder.reward(scored, progress=progress)
            batches = rewards.batches
            figures = update(policy, batches, settings, session.optimizer, learning_rate, session.warn, ranks)
        step_s = time.perf_counter() - started
        if settings.rollout.engine != "harken" and figures.logp_gap_mean > LARGEST_GAP and ranks.is_main:
            session.warn(
                f"step {step}: the engine's log-probabilities are {figures.logp_gap_mean:.2g} nats a token from the "
                "policy's; does it sample from other weights? Do not trust the run"
            )
        if len(batches) > len(sampled):
            self._keep_size_that_fits(batches)
        if ranks.is_main:
            for line in rewards.warnings:
                print_warning(session.console, line)
        rows = self._rows_of_all_ranks(batches)
        group = settings.completions_per_prompt
        metrics = step_metrics(rows, group, rewards, figures, learning_rate, rollout_s=rollout_s, step_s=step_s)
        return StepResult(rows, metrics)

    @torch.no_grad()
    def measure_reference(self, questions: Sequence[Question], inputs: Sequence[ModelInput]) -> tuple[float, int]:
        """(mean KL in nats, number of tokens) over all ranks between policy and reference before the first update.

        The completions are those of a step 0, which training does not use.
        """
        session = self._session
        with mixed_precision(session.policy, session.recipe.model.precision):
            sampled = self._sample(0, questions, inputs, judged=False)
            scored = score_with_reference(
                session.policy, session.reference, sampled, self._settings, session.warn, session.ranks
            )
        total, tokens = session.ranks.sum(kl_where_nothing_moved(scored))
        return total / max(1.0, tokens), int(tokens)

    def _sample(
        self, step: int, questions: Sequence[Question], inputs: Sequence[ModelInput], *, judged: bool = True
    ) -> list[SampledBatch]:
        """Sample completions; the judge works on those of one portion while the next portion is sampled."""
        session, policy = self._session, self._session.policy
        batches: list[SampledBatch] = []
        with gathered(policy):
            sampled = sample_completions(
                policy,
                questions,
                inputs,
                session.prompt,
                self._settings,
                seed=session.recipe.seed,
                step=step,
                sizes=self._sizes,
                warn=session.warn,
                ranks=session.ranks,
                engine=self._engine if judged else None,  # its own numbers would be measured too
            )
            with abandonable():  # decoding looks for a signal; ranks exchange nothing while they decode
                batches += (self._rewarder.start_judging(batch) if judged else batch for batch in sampled)
            if batches and session.recipe.memory.step_in_backward:  # also where not all fitted into one rollout
                batches = [SampledBatch.join(batches)]
            most, stopping = session.ranks.maximum([len(batches), stop_requested() is not None])
            if stopping:
                raise WorkAbandonedError
            for _ in range(int(most) - len(batches)):
                batches.append(stand_in(policy, batches[0] if batches else None))
            return batches

    def _keep_size_that_fits(self, batches: Sequence[RewardedBatch]) -> None:
        """Take no larger micro-batches from now on than those in which this step fitted into memory."""
        self._sizes.tokens_per_micro_batch = max(batch.sampled.packed_tokens for batch in batches)

    def _rows_of_all_ranks(self, batches: Sequence[RewardedBatch]) -> list[RolloutRow]:
        """Sorted by question, so that their order is the same on any number of ranks."""
        rows = [row for own in self._session.ranks.gather(rollout_rows(batches)) for row in own]
        return sorted(rows, key=lambda row: row["id"])


def _without_clip(session: Session, settings: GrpoConfig) -> WithoutClip | None:
    """The pass that the reward part listening needs; None where the reward has no such part."""
    recipe = session.recipe
    options = recipe.reward.listening_options
    if options is None:
        return None
    return WithoutClip(
        session.policy,
        session.prompt,
        session.questions,
        options,
        settings,
        seed=recipe.seed,
        cache_gib=recipe.data.feature_cache_gib,
    )
