"""The loss of a step: a pure function of log-probabilities, advantages and masks. `objectives.py` has its policy terms.

The denominators are those of the whole step, so the losses and gradients of its micro-batches add up to those of the
step, whatever the size of a micro-batch.

Rows that `mask_truncated` leaves out come with an empty mask. As in TRL 1.16 they still count in `total_rows`, while
their tokens do not count in `total_tokens`: in "grpo" and "dr_grpo" leaving a row out removes its term and does not
make the other terms larger.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from harken.grpo.objectives import policy_terms
from harken.types import Normalization, Objective


@dataclass(frozen=True, eq=False, slots=True)
class LossParts:
    """The loss of one micro-batch, and sums over its unmasked tokens. All but `loss` are detached scalars.

    Attributes:
        loss: scalar with a graph, to call `backward` on.
        kl_sum: sum of the KL estimates, nats; 0 without a reference.
        clipped_low_sum: number of tokens held at 1 - clip_low, where the advantage is negative; 0 in cispo.
        clipped_high_sum: number of tokens held at 1 + clip_high, where the advantage is positive; in cispo, whatever
            the advantage.
        ratio_max: largest ratio policy / old policy, of a completion in gspo and else of a token; 0 without tokens.
    """

    loss: Tensor
    kl_sum: Tensor
    clipped_low_sum: Tensor
    clipped_high_sum: Tensor
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
    importance: Tensor | None = None,
    objective: Objective = "clipped",
) -> LossParts:
    """Policy objective with the k3 estimate of the KL, negated (Omni-R1 and arXiv 2402.03300, eq. 3 and 4).

        loss_it = w term_it + beta (exp(ref - lp) - (ref - lp) - 1)

    `policy_terms` has term_it, by default -min(rho A, clip(rho, 1 - clip_low, 1 + clip_high) A). The KL is multiplied
    neither by rho nor by w, the importance weight. `_normalized` gives the sum over i and t.

    Args:
        logp: [R, L] log-probability of each sampled token, nats, with a graph.
        old_logp: [R, L] under the policy that sampled. None where that is the policy itself: rho is 1 and the gradient
            flows through it.
        ref_logp: [R, L] under the reference; may be None where beta is 0.
        advantages: [R].
        mask: [R, L] bool, True up to and including the first end-of-sequence token. Values elsewhere are never read, so
            padding may hold anything. A row without True adds nothing.
        total_rows: rows of the whole step, over all ranks and micro-batches, rows with an empty mask included.
        total_tokens: unmasked tokens of the whole step; 0 is taken as 1.
        importance: [R, L] weights without a graph, from `grpo/importance.py`; None = all 1.

    Raises ValueError where beta is not 0 and there is no reference.
    """
    if beta != 0 and ref_logp is None:
        raise ValueError(f"beta is {beta} and there is no reference: pass ref_logp or set beta: 0")
    logp = logp.masked_fill(~mask, 0.0)
    old_logp = logp.detach() if old_logp is None else old_logp.masked_fill(~mask, 0.0)
    advantages = advantages.to(logp.dtype).unsqueeze(1)
    clips = {"clip_low": clip_low, "clip_high": clip_high}
    per_token, ratio = policy_terms(objective, logp, old_logp, advantages, mask, **clips)
    if importance is not None:
        per_token = per_token * importance.masked_fill(~mask, 1.0)
    kl = torch.zeros_like(logp)
    if beta != 0 and ref_logp is not None:
        kl = _kl_estimate(logp, ref_logp.masked_fill(~mask, 0.0))
        per_token = per_token + beta * kl
    loss = _normalized(per_token, mask, normalization, max_completion_tokens, total_rows, total_tokens)
    with torch.no_grad():
        kept = ratio * mask
        low, high = _clipped_sums(objective, ratio, advantages, mask, **clips)
        ratio_max = kept.max() if kept.numel() else kept.sum()
        return LossParts(loss, (kl * mask).sum(), low, high, ratio_max)


def _clipped_sums(
    objective: Objective, ratio: Tensor, advantages: Tensor, mask: Tensor, *, clip_low: float, clip_high: float
) -> tuple[Tensor, Tensor]:
    """(low, high): the numbers of tokens that are held, as `LossParts` defines them."""
    low = (ratio < 1 - clip_low) & mask
    high = (ratio > 1 + clip_high) & mask
    if objective == "cispo":  # its weight is capped above, whatever the advantage, and not bounded below
        return low.new_zeros(()), high.sum()
    return (low & (advantages < 0)).sum(), (high & (advantages > 0)).sum()


def _kl_estimate(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """k3, exp(ref - lp) - (ref - lp) - 1: an estimate of the KL that is never negative."""
    difference = ref_logp - logp
    return torch.exp(difference) - difference - 1


def _normalized(
    per_token: Tensor,
    mask: Tensor,
    normalization: Normalization,
    max_completion_tokens: int,
    total_rows: int,
    total_tokens: int,
) -> Tensor:
    """This micro-batch's share of the step's loss.

    "grpo": sum_i mean_t loss_it / total_rows. "dr_grpo" (arXiv 2503.20783): sum_it loss_it / (total_rows *
    max_completion_tokens). "dapo" (arXiv 2503.14476): sum_it loss_it / total_tokens.
    """
    per_row = (per_token * mask).sum(dim=1)
    match normalization:
        case "grpo":
            return (per_row / mask.sum(dim=1).clamp(min=1)).sum() / total_rows
        case "dr_grpo":
            return per_row.sum() / (total_rows * max_completion_tokens)
        case "dapo":
            return per_row.sum() / max(total_tokens, 1)
