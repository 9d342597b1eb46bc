"""Updates the policy from the rewarded completions of a step.

The gradients of all micro-batches are added up before the optimizer makes its one step, so the size of a micro-batch
changes memory and not the result. No separate pass computes the old policy's log-probabilities: in the first update of
a step the policy is the one that sampled, and that update's own pass serves the later ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from harken.config import GrpoConfig
from harken.errors import HarkenError
from harken.grpo.importance import importance_weights
from harken.grpo.loss import grpo_loss
from harken.grpo.micro_batch import RewardedBatch, SampledBatch
from harken.grpo.out_of_memory import halve_until_it_fits
from harken.grpo.update_figures import Pass, StepSize, UpdateFigures, update_figures
from harken.inference.log_probabilities import Scores, score_continued, score_packed, score_repeated
from harken.models.audio_lm import AudioLM
from harken.models.sharding import audio_parameters
from harken.system.ranks import SINGLE_PROCESS, Ranks
from harken.system.stop_signals import raise_if_stopping
from harken.training.memory_saving_adamw import MemorySavingAdamW
from harken.training.optimizer import apply_update, left_alone, set_learning_rate


def update(
    policy: AudioLM,
    batches: list[RewardedBatch],
    settings: GrpoConfig,
    optimizer: torch.optim.Optimizer,
    learning_rate: float,
    warn: Callable[[str], None] = lambda line: None,
    ranks: Ranks = SINGLE_PROCESS,
) -> UpdateFigures:
    """Make `num_iterations` updates from the same completions. Returns the figures of the last one, with the first
    one's gap: only the first pass has the weights that sampled.

    Args:
        batches: this rank's; every rank must have equally many. Holds halves afterwards where memory did not suffice.
        warn: called with a line where a micro-batch is halved.
    """

    # No weight has moved before the first update, so one process may throw its gradients away.
    in_backward = isinstance(optimizer, MemorySavingAdamW) and optimizer.in_backward
    look_for_signal = raise_if_stopping if ranks.size == 1 and not in_backward else _go_on

    def update_once(look_for_signal: Callable[[], None] = _go_on) -> UpdateFigures:
        return _update_once(policy, batches, settings, optimizer, learning_rate, warn, ranks, look_for_signal)

    first = last = update_once(look_for_signal)
    for _ in range(1, settings.num_iterations):
        last = update_once()
    return replace(last, logp_gap_mean=first.logp_gap_mean, logp_gap_max=first.logp_gap_max)


def _go_on() -> None:
    """Do nothing: where gradients cannot be thrown away, a step that has begun is finished."""


def _update_once(
    policy: AudioLM,
    batches: list[RewardedBatch],
    settings: GrpoConfig,
    optimizer: torch.optim.Optimizer,
    learning_rate: float,
    warn: Callable[[str], None],
    ranks: Ranks,
    look_for_signal: Callable[[], None],
) -> UpdateFigures:
    policy.module.train()
    set_learning_rate(optimizer, learning_rate)

    def undo() -> None:
        if isinstance(optimizer, MemorySavingAdamW) and optimizer.in_backward:
            raise HarkenError(
                "not enough memory for a step in one micro-batch, as memory.step_in_backward has it: set "
                "model.gradient_checkpointing: true or fewer questions a step, or see `harken plan`"
            )
        optimizer.zero_grad(set_to_none=True)
        for batch in batches:
            batch.sampled.drop_graphs()

    passes, size = halve_until_it_fits(
        batches,
        lambda: _accumulate_gradients(policy, batches, settings, optimizer, ranks, look_for_signal),
        undo=undo,
        warn=warn,
        ranks=ranks,
    )
    for batch, one_pass in zip(batches, passes, strict=True):
        batch.sampled.drop_graphs()
        if batch.old_logp is None:
            batch.old_logp = one_pass.logp
    grad_norm = apply_update(optimizer, learning_rate, settings.max_grad_norm)
    return update_figures(passes, size, grad_norm, settings, ranks)


def _accumulate_gradients(
    policy: AudioLM,
    batches: Sequence[RewardedBatch],
    settings: GrpoConfig,
    optimizer: torch.optim.Optimizer,
    ranks: Ranks,
    look_for_signal: Callable[[], None],
) -> tuple[list[Pass], StepSize]:
    """Go forward and backward through every micro-batch.

    Args:
        look_for_signal: called before each; may raise WorkAbandonedError.
    """
    masks = [_loss_mask(batch.sampled, settings) for batch in batches]
    size = _step_size(batches, masks, ranks)
    with left_alone(optimizer, [] if size.clips else audio_parameters(policy)):
        passes = []
        for batch, mask in zip(batches, masks, strict=True):
            look_for_signal()
            passes.append(_pass(policy, batch, mask, settings, size))
        for clips in {id(batch.sampled.clips): batch.sampled.clips for batch in batches}.values():
            if clips is not None:
                clips.backward()
    return passes, size


def _step_size(batches: Sequence[RewardedBatch], masks: Sequence[Tensor], ranks: Ranks) -> StepSize:
    rows = sum(len(batch.sampled.responses) for batch in batches)
    tokens = int(torch.stack([mask.sum() for mask in masks]).sum())
    sampled = [batch.sampled for batch in batches if batch.sampled.responses]  # a stand-in's silent clip does not count
    clips = sum(prompt.features is not None for batch in sampled for prompt in batch.inputs)
    return StepSize(*(int(total) for total in ranks.sum([rows, tokens, clips])))


def _pass(policy: AudioLM, batch: RewardedBatch, mask: Tensor, settings: GrpoConfig, size: StepSize) -> Pass:
    """Add the gradients of one micro-batch."""
    scores = _policy_scores(policy, batch.sampled, settings)
    weights = _importance(batch, scores.logp, settings)
    part = grpo_loss(
        scores.logp,
        batch.old_logp,
        batch.reference_logp,
        batch.advantages.to(scores.logp.device),
        mask,
        beta=settings.beta,
        clip_low=settings.clip_low,
        clip_high=settings.clip_high,
        normalization=settings.normalization,
        max_completion_tokens=settings.max_completion_tokens,
        total_rows=size.rows,
        total_tokens=size.tokens,
        importance=weights,
        objective=settings.objective,
    )
    if part.loss.requires_grad:  # it does not where only the tower trains and no prompt here has a clip
        part.loss.backward()
    logp = scores.logp.detach()
    gap = torch.zeros_like(logp)
    if not settings.temperature_in_loss:  # else `logp` is of other logits than those that were sampled from
        gap = ((logp - batch.sampled.completions.logp) * mask).abs()
    weighted = torch.zeros_like(logp) if weights is None else weights * mask
    cut = weighted >= settings.rollout.importance_cap
    sums = [part.loss, part.kl_sum, (scores.entropy * mask).sum(), part.clipped_low_sum, part.clipped_high_sum]
    sums += [gap.sum(), weighted.sum(), cut.sum()]
    return Pass(
        sums=torch.stack([value.detach().double() for value in sums]),
        maxima=torch.stack([part.ratio_max.double(), gap.max().double()]),
        logp=logp,
    )


def _importance(batch: RewardedBatch, logp: Tensor, settings: GrpoConfig) -> Tensor | None:
    """[R, L] the weights of what the engine sampled, under the policy whose weights it had; None without a correction.

    The first pass of a step is that policy's own.
    """
    if settings.rollout.importance == "none":
        return None
    completions = batch.sampled.completions
    sampled_from = logp if batch.old_logp is None else batch.old_logp
    return importance_weights(sampled_from, completions.logp, completions.mask, settings.rollout.importance_cap)


def _loss_mask(batch: SampledBatch, settings: GrpoConfig) -> Tensor:
    """[R, L] the tokens in the loss."""
    if not batch.responses:
        return torch.zeros_like(batch.completions.mask)
    if not settings.mask_truncated:
        return batch.completions.mask
    return batch.completions.mask & batch.completions.ended[:, None]


def _policy_scores(policy: AudioLM, batch: SampledBatch, settings: GrpoConfig) -> Scores:
    temperature = settings.temperature if settings.temperature_in_loss else 1.0
    if settings.policy_pass == "repeated":
        return score_repeated(policy, batch.inputs, batch.completions, temperature)
    if batch.prefilled is not None:
        prefilled, batch.prefilled = batch.prefilled, None  # so that its activations go with the backward pass
        return score_continued(policy, prefilled, batch.completions, temperature)
    audio = policy.encode_audio(batch.inputs) if batch.audio is None else batch.audio
    return score_packed(policy, policy.embed(batch.inputs, audio), batch.completions, temperature)
