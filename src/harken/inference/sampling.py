"""Takes logits and the name of a sample, gives a token.

A token depends on (seed, step, question id, g, t) and on its own logits, and on nothing else: not on the batch it is
drawn in, the number of ranks, or what was drawn before. Not taken: a shared generator with `torch.multinomial`, whose
draws change with the layout.
"""

import torch
from torch import Tensor
from transformers import TopKLogitsWarper, TopPLogitsWarper


def filter_logits(logits: Tensor, temperature: float, top_p: float, top_k: int) -> Tensor:
    """[R, V] -> [R, V]: divided by the temperature, then top-k, then top-p, as transformers' generate orders them.

    What is left out becomes -inf. `top_k` 0 and `top_p` 1 are off. `temperature` > 0.
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
        logits: [R, V], any float dtype; -inf is a token of probability zero, never drawn whatever u.
        u: [R] in [0, 1].

    Returns:
        [R] int64. Sums are float64.

    Raises ValueError where a row has NaN, +inf or nothing finite: the policy has diverged.
    """
    probabilities = torch.softmax(logits.to(torch.float64), dim=-1)
    # Tokens of probability zero exceed nothing and the total is that of a possible token: true by construction, also
    # where a parallel sum rounds differently from place to place.
    sums = probabilities.cumsum(dim=-1).masked_fill_(probabilities == 0, 0.0)
    total = sums.amax(dim=-1, keepdim=True)
    if not torch.isfinite(total).all():
        raise ValueError("logits hold NaN, +inf or a row without a finite value: the policy has diverged")
    below = torch.nextafter(total, torch.zeros_like(total))  # u -> 1 rounds to the total, which nothing exceeds
    target = torch.minimum(u.to(sums)[:, None] * total, below)
    return (sums > target).to(torch.uint8).argmax(dim=-1)  # the first, by argmax's rule for ties
