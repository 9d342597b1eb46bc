"""Advantages of completions: each reward compared with the rewards of the same prompt's other completions."""

import torch
from torch import Tensor


def advantages(rewards: Tensor, *, scale: bool) -> Tensor:
    """A = (r - mean) / (std + 1e-4) within each group (Omni-R1, eq. 1; std unbiased as in R1-AQA's code).

    Args:
        rewards: [P, G], G >= 2.
        scale: False leaves out the division (Dr. GRPO, arXiv 2503.20783).

    Returns:
        [P, G] in the dtype of `rewards`. It is computed in float64, so that a group of equal rewards gives zeros
        and not rounding noise divided by 1e-4.

    Raises ValueError unless `rewards` is [P, G] with G >= 2.
    """
    if rewards.ndim != 2 or rewards.shape[1] < 2:
        raise ValueError(
            f"rewards must be [P, G] with two or more completions for each prompt, but are {list(rewards.shape)}"
        )
    exact = rewards.to(torch.float64)
    centred = exact - exact.mean(dim=1, keepdim=True)
    if scale:
        centred = centred / (exact.std(dim=1, keepdim=True, correction=1) + 1e-4)
    return centred.to(rewards.dtype)


def equal_group_share(rewards: Tensor) -> float:
    """Share of the P groups whose G rewards are all equal: their advantages are 0, so they teach nothing.

    Args:
        rewards: [P, G], P >= 1.
    """
    return (rewards == rewards[:, :1]).all(dim=1).to(torch.float64).mean().item()
