"""The reference pass over a step's experience, and one policy update from it.

Takes micro-batches, gives changed weights and the figures of the update. Gradients of all micro-batches are added up
before the one optimizer step, so their size changes memory and not the result. Not taken: an old-policy pass; with
one update per rollout the ratio is 1 in value, with more the first pass of the step is the old policy.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harken.config import GrpoConfig
from harken.errors import HarkenError
from harken.grpo.batch import MicroBatch
from harken.grpo.loss import LossParts, grpo_loss
from harken.grpo.out_of_memory import halving
from harken.inference.log_probabilities import Scores, score_continued, score_packed, score_repeated, score_shared
from harken.models.audio_lm import AudioLM
from harken.models.sharding import drop_audio_gradients, is_sharded, reshard
from harken.system.ranks import SINGLE_PROCESS, Ranks
from harken.training.memory_saving_adamw import MemorySavingAdamW
from harken.training.optimizer import apply_update, set_learning_rate


@dataclass(slots=True)
class UpdateFigures:
    """Of one update; means are over the tokens in the loss."""

    loss: float
    kl: float
    entropy: float
    clip_low: float
    clip_high: float
    ratio_max: float
    logp_gap_mean: float
    logp_gap_max: float
    grad_norm: float


def score_with_reference(
    policy: AudioLM,
    reference: AudioLM | None,
    batches: list[MicroBatch],
    settings: GrpoConfig,
    note: Callable[[str], None] = lambda line: None,
    ranks: Ranks = SINGLE_PROCESS,
) -> None:
    """Put the reference's log-probabilities of what was sampled into the batches. Needs no rewards: these may still be
    on their way.

    Args:
        batches: left in halves where memory did not suffice for them; `note` is told.
    """
    if reference is None:
        return

    def score() -> None:
        for batch in batches:
            batch.reference_logp = _reference_logp(policy, reference, batch, settings)

    halving(batches, score, undo=lambda: None, note=note, ranks=ranks)
    reshard(reference)


def update(
    policy: AudioLM,
    batches: list[MicroBatch],
    settings: GrpoConfig,
    optimizer: torch.optim.Optimizer,
    learning_rate: float,
    note: Callable[[str], None] = lambda line: None,
    ranks: Ranks = SINGLE_PROCESS,
) -> UpdateFigures:
    """`num_iterations` updates on the same experience, rewarded and scored with the reference. Returns the figures of
    the last one; the gap is the first one's. Over several ranks each has as many batches and its own part of the rows;
    denominators and figures are of all.

    Args:
        batches: left in halves where memory did not suffice for them; `note` is told.
    """
    first = last = _one_update(policy, batches, settings, optimizer, learning_rate, note, ranks, first=True)
    for _ in range(1, settings.num_iterations):
        last = _one_update(policy, batches, settings, optimizer, learning_rate, note, ranks, first=False)
    # Only the first pass has the weights that sampled: a later gap is the policy's own movement.
    return replace(last, logp_gap_mean=first.logp_gap_mean, logp_gap_max=first.logp_gap_max)


def _one_update(
    policy: AudioLM,
    batches: list[MicroBatch],
    settings: GrpoConfig,
    optimizer: torch.optim.Optimizer,
    learning_rate: float,
    note: Callable[[str], None],
    ranks: Ranks,
    *,
    first: bool,
) -> UpdateFigures:
    policy.module.train()
    set_learning_rate(optimizer, learning_rate)
    # The graph of the rollout's encoding serves the first pass; after an update, or a pass broken off, there is none.
    encoded = first or not policy.audio_trains

    def accumulate() -> UpdateFigures:
        return _accumulate(policy, batches, settings, ranks, first=first, encoded=encoded)

    def undo() -> None:
        nonlocal encoded
        if isinstance(optimizer, MemorySavingAdamW) and optimizer.in_backward:
            raise HarkenError(
                "not enough memory for a step in one micro-batch, as memory.step_in_backward has it: set "
                "model.gradient_checkpointing: true or fewer questions a step, or see `harken plan`"
            )
        optimizer.zero_grad(set_to_none=True)
        for batch in batches:
            batch.prefilled = None
        encoded = not policy.audio_trains

    figures = halving(batches, accumulate, undo, note, ranks)
    return replace(figures, grad_norm=apply_update(optimizer, learning_rate, settings.max_grad_norm))


def _accumulate(
    policy: AudioLM,
    batches: Sequence[MicroBatch],
    settings: GrpoConfig,
    ranks: Ranks,
    *,
    first: bool,
    encoded: bool,
) -> UpdateFigures:
    """Add up the gradients of all batches; the figures lack `grad_norm`."""
    masks = [_loss_mask(batch, settings) for batch in batches]
    clips = sum(one.features is not None for batch in batches if batch.responses for one in batch.inputs)
    own = [sum(len(batch.responses) for batch in batches), sum(int(mask.sum()) for mask in masks), clips]
    total_rows, total_tokens, total_clips = (int(total) for total in ranks.sum(own))
    parts: list[LossParts] = []
    entropy, gap_sum, gap_max = 0.0, 0.0, 0.0
    for batch, mask in zip(batches, masks, strict=True):
        scores = _policy_scores(policy, batch, settings, encoded=encoded)
        part = grpo_loss(
            scores.logp,
            None if first else batch.old_logp,
            batch.reference_logp,
            batch.advantages.to(scores.logp.device),
            mask,
            beta=settings.beta,
            clip_low=settings.clip_low,
            clip_high=settings.clip_high,
            normalization=settings.normalization,
            max_completion_tokens=settings.max_completion_tokens,
            total_rows=total_rows,
            total_tokens=total_tokens,
        )
        if part.loss.requires_grad:  # not where only the tower trains and no prompt here has a clip
            part.loss.backward()
        if first:
            batch.old_logp = scores.logp.detach()
        parts.append(part)
        entropy += float((scores.entropy * mask).sum())
        if not settings.temperature_in_loss:
            gap = ((scores.logp.detach() - batch.completions.logp) * mask).abs()
            gap_sum, gap_max = gap_sum + float(gap.sum()), max(gap_max, float(gap.max()))
    if total_clips == 0:
        drop_audio_gradients(policy)
    tokens = max(1, total_tokens)
    sums = [sum(float(part.loss.detach()) for part in parts)]
    for name in ("kl_sum", "clipped_low_sum", "clipped_high_sum"):
        sums.append(sum(float(getattr(part, name)) for part in parts))
    loss, kl, low, high, entropy, gap_sum = ranks.sum([*sums, entropy, gap_sum])
    ratio_max, gap_max = ranks.maximum([max(float(part.ratio_max) for part in parts), gap_max])
    return UpdateFigures(
        loss=loss,
        kl=kl / tokens,
        entropy=entropy / tokens,
        clip_low=low / tokens,
        clip_high=high / tokens,
        ratio_max=ratio_max,
        logp_gap_mean=gap_sum / tokens,
        logp_gap_max=gap_max,
        grad_norm=math.nan,
    )


def _loss_mask(batch: MicroBatch, settings: GrpoConfig) -> Tensor:
    if not batch.responses:
        return torch.zeros_like(batch.completions.mask)
    if not settings.mask_truncated:
        return batch.completions.mask
    return batch.completions.mask & batch.completions.ended[:, None]


def _policy_scores(policy: AudioLM, batch: MicroBatch, settings: GrpoConfig, *, encoded: bool) -> Scores:
    temperature = settings.temperature if settings.temperature_in_loss else 1.0
    if settings.policy_pass == "repeated":
        return score_repeated(policy, batch.inputs, batch.completions, temperature)
    if encoded and batch.prefilled is not None:
        prefilled, batch.prefilled = batch.prefilled, None  # its activations go with the backward pass
        return score_continued(policy, prefilled, batch.completions, temperature)
    audio = batch.audio if encoded else policy.encode_audio(batch.inputs)
    return score_packed(policy, policy.embed(batch.inputs, audio), batch.completions, temperature)


@torch.no_grad()
def _reference_logp(policy: AudioLM, reference: AudioLM, batch: MicroBatch, settings: GrpoConfig) -> Tensor:
    temperature = settings.temperature if settings.temperature_in_loss else 1.0
    if settings.policy_pass == "repeated":
        return score_repeated(reference, batch.inputs, batch.completions, temperature).logp
    # A tower that does not train is the reference's tower too.
    audio = reference.encode_audio(batch.inputs) if policy.audio_trains else batch.audio
    # The cheaper form depends on lengths, and so would how often a rank gathers a block.
    score = score_packed if is_sharded(reference) else score_shared
    return score(reference, reference.embed(batch.inputs, audio), batch.completions, temperature).logp
