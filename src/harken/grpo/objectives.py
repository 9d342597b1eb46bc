"""The policy terms of the loss: what each token adds for its advantage, without the KL. Pure functions.

    clipped  GRPO, from PPO (arXiv 2402.03300, eq. 3): the ratio of each token is clipped
    gspo     GSPO (arXiv 2507.18071): one ratio for a completion, the geometric mean of its tokens' ratios
    cispo    CISPO (MiniMax-M1, arXiv 2506.13585): the ratio is a weight without a gradient

With one update for each rollout the ratio is 1, and all three have the same gradient: they differ from the second
update on (`num_iterations`), where the policy is no longer the one that sampled.
"""

import torch
from torch import Tensor

from harken.types import Objective


def policy_terms(
    objective: Objective,
    logp: Tensor,
    old_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float,
    clip_high: float,
) -> tuple[Tensor, Tensor]:
    """(terms, ratios) of a micro-batch; terms are to be minimised.

    Args:
        logp: [R, L] log-probability of each sampled token, nats, with a graph; 0 where masked.
        old_logp: [R, L] under the policy that sampled; 0 where masked.
        advantages: [R, 1].
        mask: [R, L] bool. `gspo` alone reads it.

    Returns:
        Both [R, L]; [R, 1] for `gspo`, whose completion has one ratio.
    """
    if objective == "gspo":
        log_ratio = ((logp - old_logp) * mask).sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True).clamp(min=1)
    else:
        log_ratio = logp - old_logp
    ratio = torch.exp(log_ratio)
    if objective == "cispo":
        return cispo_terms(logp, ratio, advantages, clip_high), ratio
    return clipped_terms(ratio, advantages, clip_low, clip_high), ratio


def clipped_terms(ratio: Tensor, advantages: Tensor, clip_low: float, clip_high: float) -> Tensor:
    """-min(rho A, clip(rho, 1 - clip_low, 1 + clip_high) A), with the shape of `ratio`."""
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - clip_low, 1 + clip_high) * advantages)


def cispo_terms(logp: Tensor, ratio: Tensor, advantages: Tensor, clip_high: float) -> Tensor:
    """[R, L] -min(rho, 1 + clip_high) A log pi, with no gradient through the minimum.

    No token is without a gradient, however far its ratio is off. There is no lower bound, as in the paper's runs and in
    TRL 1.16, whose `epsilon_high` is 1 + clip_high.
    """
    return -ratio.clamp(max=1 + clip_high).detach() * advantages * logp
