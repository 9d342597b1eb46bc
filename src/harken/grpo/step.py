"""One step of GRPO, from questions to updated weights.

sample_completions.py  samples G completions for each question; the judge works on them from then on
resampling.py          replaces questions whose completions all earn the same, where the recipe says so
reference_pass.py      scores the completions with the reference
without_clip_pass.py   scores them without their clip, where the reward has the part listening
rewarding.py           rewards them and compares those of one prompt, once the whole step is there
update.py              updates the policy
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harken.config import GrpoConfig
from harken.grpo.metrics import step_metrics
from harken.grpo.micro_batch import RewardedBatch, SampledBatch, ScoredBatch
from harken.grpo.reference_pass import kl_where_nothing_moved, score_with_reference
from harken.grpo.resampling import TriedGroups, micro_batches
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
            if settings.resample_equal_groups:
                sampled, resampled = self._sample_until_rewards_differ(step, questions, inputs_of_step, progress)
            else:
                sampled, resampled = self._sample(step, questions, inputs_of_step), {}
            rollout_s, n_sampled = time.perf_counter() - started, len(sampled)
            if not settings.resample_equal_groups:  # its preview needed them already
                sampled = self._scored_without_clip(sampled)
            scored = score_with_reference(policy, session.reference, sampled, settings, session.warn, ranks)
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
        if len(batches) > n_sampled:
            self._keep_size_that_fits(batches)
        if ranks.is_main:
            for line in rewards.warnings:
                print_warning(session.console, line)
        rows = self._rows_of_all_ranks(batches)
        group = settings.completions_per_prompt
        metrics = step_metrics(rows, group, rewards, figures, learning_rate, rollout_s=rollout_s, step_s=step_s)
        return StepResult(rows, metrics | resampled)

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
            return self._as_many_on_all_ranks(batches)

    def _as_many_on_all_ranks(self, batches: list[SampledBatch]) -> list[SampledBatch]:
        """The micro-batches of this rank, and stand-ins where another rank has more."""
        session, policy = self._session, self._session.policy
        if batches and session.recipe.memory.step_in_backward:  # also where not all fitted into one rollout
            batches = [SampledBatch.join(batches)]
        most, stopping = session.ranks.maximum([len(batches), stop_requested() is not None])
        if stopping:
            raise WorkAbandonedError
        return batches + [stand_in(policy, batches[0] if batches else None) for _ in range(int(most) - len(batches))]

    @torch.no_grad()
    def _sample_until_rewards_differ(
        self, step: int, questions: Sequence[Question], inputs: Sequence[ModelInput], progress: float
    ) -> tuple[list[SampledBatch], dict[str, float]]:
        """(micro-batches of the groups that the step keeps, figures), after `resample_equal_groups` rounds at most.

        What is sampled keeps no graph: an encoder that trains encodes the clips that are kept again in the update.
        """
        session, settings, ranks = self._session, self._settings, self._session.ranks
        first = session.order.batch(settings.prompts_per_step, step - 1, settings.steps)
        tried = TriedGroups(session.order, step - 1, first, ranks)
        while True:
            sampled = self._sample(step, questions, inputs)
            pairs = [pair for pair in self._preview(sampled, progress) if pair[0].responses]  # without stand-ins
            tried.add(pairs, [question.id for question in questions])
            chosen = tried.next_round() if tried.rounds < settings.resample_equal_groups else []
            if not chosen:
                break
            questions = [session.questions[index] for index in ranks.own_part(chosen)]
            inputs = session.inputs(questions)
        kept = micro_batches(tried.kept(), settings, self._sizes)
        with gathered(session.policy):
            kept = self._as_many_on_all_ranks(kept)
        if session.policy.audio_trains:
            for batch in kept:
                batch.audio = None
        return kept, tried.figures()

    def _preview(self, sampled: list[SampledBatch], progress: float) -> list[tuple[SampledBatch, Tensor]]:
        """Each micro-batch with what its completions earn, [P, G]."""
        scored = [ScoredBatch(batch, None) for batch in self._scored_without_clip(sampled)]
        self._rewarder.wait(scored)
        if self._session.ranks.any(stop_requested() is not None):
            raise WorkAbandonedError
        earned = self._rewarder.preview(scored, progress=progress)
        return [(batch.sampled, own) for batch, own in zip(scored, earned, strict=True)]

    def _scored_without_clip(self, sampled: list[SampledBatch]) -> list[SampledBatch]:
        """The micro-batches with what the part listening needs; as they are where the reward has no such part."""
        if self._without_clip is None:
            return sampled
        return self._without_clip.score(sampled, self._session.warn, self._session.ranks)

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
