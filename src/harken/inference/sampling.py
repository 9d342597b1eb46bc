"""The choice of each token: settings, filters and the draw itself.

A token depends on its logits and on one uniform number that belongs to (seed, step, question id, completion, token).
It does not depend on the batch it is drawn in, on the number of ranks, or on what was drawn before.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import TopKLogitsWarper, TopPLogitsWarper


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen.

    Attributes:
        temperature: 0 = greedy.
        top_p: 1 = off.
        top_k: 0 = off.
        cuda_graph: decode with `FixedCacheDecoder`, which replays a CUDA graph for every token.
    """

    temperature: float
    max_completion_tokens: int
    top_p: float = 1.0
    top_k: int = 0
    cuda_graph: bool = False


def choose_tokens(logits: Tensor, sampling: Sampling, uniforms: Tensor | None) -> Tensor:
    """[R, V] logits -> [R] tokens.

    Args:
        uniforms: [R] in [0, 1]; may be None where sampling is greedy.
    """
    if sampling.temperature == 0:
        return logits.argmax(-1)
    assert uniforms is not None
    return inverse_cdf(filter_logits(logits, sampling.temperature, sampling.top_p, sampling.top_k), uniforms)


def filter_logits(logits: Tensor, temperature: float, top_p: float, top_k: int) -> Tensor:
    """[R, V] -> [R, V]: divide by the temperature, apply top-k, then top-p, in the order of transformers' generate.

    Tokens that are filtered out get -inf. `top_k` 0 and `top_p` 1 are off. `temperature` must be above 0.
    """
    no_ids = torch.empty(logits.shape[0], 0, dtype=torch.long, device=logits.device)
    logits = logits / temperature
    if top_k > 0:
        logits = TopKLogitsWarper(top_k)(no_ids, logits)  # pyright: ignore[reportArgumentType]
    if top_p < 1:
        logits = TopPLogitsWarper(top_p)(no_ids, logits)  # pyright: ignore[reportArgumentType]
    return logits


def inverse_cdf(logits: Tensor, u: Tensor) -> Tensor:
    """The token at quantile u of softmax(logits): the first whose cumulative probability exceeds u.

    Args:
        logits: [R, V], any float dtype. A token with -inf has probability zero and is never drawn, whatever u.
        u: [R] in [0, 1].

    Returns:
        [R] int64. Sums are float64.

    Raises ValueError where a row has NaN, +inf or no finite value: the policy has diverged.
    """
    probabilities = torch.softmax(logits.to(torch.float64), dim=-1)
    # A token of probability zero can then exceed no quantile, and the total is the sum up to a possible token, even
    # where a parallel sum rounds differently from place to place.
    sums = probabilities.cumsum(dim=-1).masked_fill_(probabilities == 0, 0.0)
    total = sums.amax(dim=-1, keepdim=True)
    if not torch.isfinite(total).all():
        raise ValueError("logits hold NaN, +inf or a row without a finite value: the policy has diverged")
    below = torch.nextafter(total, torch.zeros_like(total))  # u near 1 rounds to the total, which no sum exceeds
    target = torch.minimum(u.to(sums)[:, None] * total, below)
    return (sums > target).to(torch.uint8).argmax(dim=-1)  # argmax returns the first of equal values
