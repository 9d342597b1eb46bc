"""Takes the rewards of groups of completions, gives their advantages.

Not taken: statistics over the whole batch. A completion is compared with its siblings only.
"""

import torch
from torch import Tensor


def advantages(rewards: Tensor, *, scale: bool) -> Tensor:
    """A = (r - mean) / (std + 1e-4) within each group (Omni-R1, eq. 1; std unbiased as in R1-AQA's code).

    Args:
        rewards: [P, G], G >= 2.
        scale: False leaves the division out (Dr. GRPO, arXiv 2503.20783).

    Returns:
        [P, G], dtype of `rewards`; computed in float64, so that a group of equal rewards gives zeros and not rounding
        noise divided by 1e-4.

    Raises ValueError unless [P, G] with G >= 2.
    """
    if rewards.ndim != 2 or rewards.shape[1] < 2:
        raise ValueError(f"rewards must be [P, G] with two or more completions per prompt, found {list(rewards.shape)}")
    exact = rewards.to(torch.float64)
    centred = exact - exact.mean(dim=1, keepdim=True)
    if scale:
        centred = centred / (exact.std(dim=1, keepdim=True, correction=1) + 1e-4)
    return centred.to(rewards.dtype)


def equal_group_share(rewards: Tensor) -> float:
    """Share of the P groups whose G rewards are all equal: prompts that teach nothing. `rewards` [P, G], P >= 1."""
    return (rewards == rewards[:, :1]).all(dim=1).to(torch.float64).mean().item()
