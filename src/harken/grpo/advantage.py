"""Advantages of completions: each reward compared with the rewards of the same prompt's other completions.

    group                  GRPO                  (r - mean) / (std + 1e-4) in each group, or by the std of the step
    rloo                   RLOO                  r - mean of the group's other rewards
    gdpo                   GDPO                  each reward part as in `group`, their weighted sum, then over the step
    reinforce_pp           REINFORCE++           r over all tokens of the step
    reinforce_pp_baseline  REINFORCE++-baseline  r - mean of its group, then over all tokens of the step

Pure functions. The last three also compare over the step: what `group_values` gives is then normalised by
`over_step`, with the moments of all ranks.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from harken.types import Estimator

OVER_STEP: Mapping[Estimator, Literal["completions", "tokens"]] = {
    "gdpo": "completions",
    "reinforce_pp": "tokens",
    "reinforce_pp_baseline": "tokens",
}
"""The estimators that normalise over a step, and what their mean and variance are over."""


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
    _refuse_single_completions(rewards)
    exact = rewards.to(torch.float64)
    centred = exact - exact.mean(dim=1, keepdim=True)
    if scale:
        centred = centred / (exact.std(dim=1, keepdim=True, correction=1) + 1e-4)
    return centred.to(rewards.dtype)


def rloo_advantages(rewards: Tensor) -> Tensor:
    """A_i = r_i - mean of r_j over j != i, which is G / (G - 1) (r_i - mean) (RLOO, arXiv 2402.14740).

    Args:
        rewards: [P, G], G >= 2. Raises ValueError else.
    """
    _refuse_single_completions(rewards)
    exact = rewards.to(torch.float64)
    others = (exact.sum(dim=1, keepdim=True) - exact) / (rewards.shape[1] - 1)
    return (exact - others).to(rewards.dtype)


def gdpo_values(parts: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """[P, G] sum over the reward parts of weight x the part's own group advantage (GDPO, arXiv 2601.05242).

    Two completions with equal sums of rewards differ here where the sums come from parts of different spread, so a part
    that hardly varies in a group is not drowned by another. `over_step` completes it.

    Args:
        parts: part name -> [P, G] values without weights.
        weights: part name -> weight, for exactly these parts.
    """
    terms = [weights[name] * advantages(values, scale=True) for name, values in parts.items()]
    return torch.stack(terms).sum(dim=0)


def group_values(
    estimator: Estimator,
    rewards: Tensor,
    parts: Mapping[str, Sequence[float]],
    weights: Mapping[str, float],
    *,
    scale: bool,
) -> Tensor:
    """[P, G] what groups alone say: the advantages, or for the estimators of OVER_STEP what `over_step` normalises.

    Args:
        rewards: [P, G] weighted sums of the parts.
        parts: part name -> [P * G] values.
        scale: whether `group` divides by the standard deviation of the group.
    """
    match estimator:
        case "group":
            return advantages(rewards, scale=scale)
        case "rloo":
            return rloo_advantages(rewards)
        case "gdpo":
            own = {name: torch.tensor(values, dtype=rewards.dtype).view_as(rewards) for name, values in parts.items()}
            return gdpo_values(own, weights)
        case "reinforce_pp":
            return rewards
        case "reinforce_pp_baseline":
            return advantages(rewards, scale=False)


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and unbiased variance of the values of a step."""

    mean: float
    variance: float


def moments(values: Sequence[float], counts: Sequence[float]) -> Moments:
    """Moments of values that stand `counts` times each. The sums are exact, so that no order of the values and no cut
    of a step into ranks changes a bit.

    Example:
        >>> moments([1.0, 4.0], [2, 1])
        Moments(mean=2.0, variance=3.0)
    """
    total = math.fsum(counts)
    if total == 0:
        return Moments(0.0, 0.0)
    mean = math.fsum(value * count for value, count in zip(values, counts, strict=True)) / total
    squares = math.fsum((value - mean) ** 2 * count for value, count in zip(values, counts, strict=True))
    return Moments(mean, squares / max(1.0, total - 1))


def over_step(estimator: Estimator, values: Tensor, of_step: Moments) -> Tensor:
    """(v - mean) / std of the step, with the constant of each method's code: std + 1e-4 for GDPO (TRL 1.16), the root
    of variance + 1e-8 for REINFORCE++ (arXiv 2501.03262; verl's `masked_whiten`)."""
    if estimator == "gdpo":
        return (values - of_step.mean) / (math.sqrt(of_step.variance) + 1e-4)
    return (values - of_step.mean) / math.sqrt(of_step.variance + 1e-8)


def scaled_by_step(values: Tensor, rewards_of_step: Moments) -> Tensor:
    """v / (std + 1e-4), with the standard deviation of all rewards of the step (arXiv 2508.08221; TRL 1.16's
    `scale_rewards: batch`)."""
    return values / (math.sqrt(rewards_of_step.variance) + 1e-4)


def equal_groups(rewards: Tensor) -> Tensor:
    """[P, G] -> [P] bool: whether all rewards of the group are equal. Its advantages are 0 in `group`, so it teaches
    nothing."""
    return (rewards == rewards[:, :1]).all(dim=1)


def equal_group_share(rewards: Tensor) -> float:
    """Share of the P groups whose G rewards are all equal.

    Args:
        rewards: [P, G], P >= 1.
    """
    return equal_groups(rewards).to(torch.float64).mean().item()


def _refuse_single_completions(rewards: Tensor) -> None:
    if rewards.ndim != 2 or rewards.shape[1] < 2:
        raise ValueError(
            f"rewards must be [P, G] with two or more completions for each prompt, but are {list(rewards.shape)}"
        )
