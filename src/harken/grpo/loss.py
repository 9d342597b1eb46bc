"""The policy loss: takes log-probabilities and advantages of some rows of a step, gives their part of the step's loss.

The denominators are those of the whole step, so the losses (and gradients) of its micro-batches add up to the loss of
the step, however it is cut. Not taken: a mean per micro-batch divided by their number, as TRL has it, which weighs
completions by the micro-batch they fall into when these differ in size.

Rows that `mask_truncated` leaves out come with an empty mask. As in TRL 1.16 they still count in `total_rows`, and
their tokens do not count in `total_tokens`: in "grpo" and "dr_grpo" leaving a row out removes its term and does not
make the others larger.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Normalization = Literal["grpo", "dr_grpo", "dapo"]


@dataclass(frozen=True, eq=False, slots=True)
class LossParts:
    """One micro-batch's part of the loss, and sums over its unmasked tokens; a step's mean is their sum / its tokens.

    Attributes:
        loss: scalar with a graph, to call backward on.
        tokens: number of unmasked tokens.
        kl_sum: sum of the KL estimates, nats; 0 without a reference.
        clipped_low_sum: tokens held at 1 - clip_low, where the advantage is negative.
        clipped_high_sum: tokens held at 1 + clip_high, where the advantage is positive.
        ratio_sum: sum of the ratios policy / old policy.
        ratio_max: largest ratio; 0 without tokens.
    All but `loss` are detached scalars on the device of the log-probabilities.
    """

    loss: Tensor
    tokens: Tensor
    kl_sum: Tensor
    clipped_low_sum: Tensor
    clipped_high_sum: Tensor
    ratio_sum: Tensor
    ratio_max: Tensor


def grpo_loss(
    logp: Tensor,
    old_logp: Tensor | None,
    ref_logp: Tensor | None,
    advantages: Tensor,
    mask: Tensor,
    *,
    beta: float,
    clip_low: float,
    clip_high: float,
    normalization: Normalization,
    max_completion_tokens: int,
    total_rows: int,
    total_tokens: int,
) -> LossParts:
    """Clipped policy objective with the k3 estimate of the KL, negated (Omni-R1 and arXiv 2402.03300, eq. 3 and 4).

        loss_it = -min(rho A, clip(rho, 1 - clip_low, 1 + clip_high) A) + beta (exp(ref - lp) - (ref - lp) - 1)

    "grpo": sum_i mean_t loss_it / total_rows. "dr_grpo" (arXiv 2503.20783): sum_it loss_it / (total_rows *
    max_completion_tokens). "dapo" (arXiv 2503.14476): sum_it loss_it / total_tokens. The KL is not multiplied by rho.

    Args:
        logp: [R, L] log-probability of each sampled token, nats, with a graph.
        old_logp: [R, L] under the policy that sampled; None for one update per rollout, where rho is 1 and the gradient
            flows through it.
        ref_logp: [R, L] under the reference; may be None where beta is 0.
        advantages: [R].
        mask: [R, L] bool, True up to and with the first end-of-sequence token. Values elsewhere are never read, so
            padding may hold anything. A row without True adds nothing.
        total_rows: rows of the whole step, all ranks and micro-batches, rows with an empty mask included.
        total_tokens: unmasked tokens of the whole step; 0 is taken as 1.

    Raises ValueError where beta is not 0 and there is no reference.
    """
    if beta != 0 and ref_logp is None:
        raise ValueError(f"beta is {beta} and there is no reference: pass ref_logp or set beta: 0")
    logp = logp.masked_fill(~mask, 0.0)
    old_logp = logp.detach() if old_logp is None else old_logp.masked_fill(~mask, 0.0)
    advantages = advantages.to(logp.dtype).unsqueeze(1)

    ratio = torch.exp(logp - old_logp)
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    per_token = -torch.minimum(ratio * advantages, clipped * advantages)
    kl = torch.zeros_like(logp)
    if beta != 0 and ref_logp is not None:
        difference = ref_logp.masked_fill(~mask, 0.0) - logp
        kl = torch.exp(difference) - difference - 1
        per_token = per_token + beta * kl

    per_row = (per_token * mask).sum(dim=1)
    if normalization == "grpo":
        loss = (per_row / mask.sum(dim=1).clamp(min=1)).sum() / total_rows
    elif normalization == "dr_grpo":
        loss = per_row.sum() / (total_rows * max_completion_tokens)
    else:
        loss = per_row.sum() / max(total_tokens, 1)

    with torch.no_grad():
        low = (ratio < 1 - clip_low) & (advantages < 0) & mask
        high = (ratio > 1 + clip_high) & (advantages > 0) & mask
        kept = ratio * mask
        return LossParts(
            loss=loss,
            tokens=mask.sum(),
            kl_sum=(kl * mask).sum(),
            clipped_low_sum=low.sum(),
            clipped_high_sum=high.sum(),
            ratio_sum=kept.sum(),
            ratio_max=kept.max() if kept.numel() else kept.sum(),
        )
