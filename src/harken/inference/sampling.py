"""The choice of each token: settings, filters and the draw itself.

A token depends on its logits and on one uniform number that belongs to (seed, step, question id, completion, token).
The number does not depend on the batch it is used in, on the number of ranks, or on what was drawn before. The logits
depend on the batch by rounding alone.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
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
        stop_check_every: tokens between two looks at which rows have ended, for which the host waits; None = 8 on a
            GPU and 1 on a CPU, where nothing waits. It changes no sample.
    """

    temperature: float
    max_completion_tokens: int
    top_p: float = 1.0
    top_k: int = 0
    cuda_graph: bool = False
    stop_check_every: int | None = None


BLOCK = 512
"""Tokens of the vocabulary whose probabilities are summed first when a token is drawn."""


def choose_tokens(logits: Tensor, sampling: Sampling, uniforms: Tensor | None) -> Tensor:
    """[R, V] logits -> [R] tokens; -1 where sampled logits have NaN, +inf or no finite value.

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
    if top_k > 0 and top_p < 1:
        return _top_k_then_p(logits, top_k, top_p)
    if top_k > 0:
        logits = TopKLogitsWarper(top_k)(no_ids, logits)  # pyright: ignore[reportArgumentType]
    if top_p < 1:
        logits = TopPLogitsWarper(top_p)(no_ids, logits)  # pyright: ignore[reportArgumentType]
    return logits


def _top_k_then_p(logits: Tensor, top_k: int, top_p: float) -> Tensor:
    """[R, V] -> [R, V]: both filters at once. Only the `top_k` values are sorted, where top-p alone sorts the whole
    vocabulary. Tokens that are exactly as likely as the last one that is kept are kept too."""
    values = logits.topk(min(top_k, logits.shape[-1]), dim=-1).values  # largest first
    last = values[:, -1:]
    weights = torch.exp((values - values[:, :1]).double())
    ties = (logits == last).sum(-1, keepdim=True) - (values == last).sum(-1, keepdim=True)  # beyond the top_k values
    tail = weights.flip(-1).cumsum(-1).flip(-1) + ties * weights[:, -1:]  # of a token and all that are less likely
    kept = tail > (1 - top_p) * tail[:, :1]
    kept[:, 0] = True
    least = values.masked_fill(~kept, torch.inf).amin(-1, keepdim=True)
    return logits.masked_fill(logits < least, -torch.inf)


def inverse_cdf(logits: Tensor, u: Tensor) -> Tensor:
    """The token at quantile u of softmax(logits): the first whose cumulative probability exceeds u.

    The weights exp(logit - largest) are in the logits' precision, float32 at least, and are added up in float64: first
    over blocks of the vocabulary, then inside the block that holds the quantile. So with float32 logits the
    distribution differs from that of exact arithmetic by less than 1e-6 in total variation, and a token differs only
    where u is that close to the border between two tokens.

    Args:
        logits: [R, V], any float dtype. A token with -inf has probability zero and is never drawn, whatever u.
        u: [R] in [0, 1].

    Returns:
        [R] int64; -1 where a row has NaN, +inf or no finite value. The host waits for nothing here.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    weights = (logits - logits.amax(-1, keepdim=True)).exp()
    weights = F.pad(weights, (0, -weights.shape[-1] % BLOCK)).unflatten(-1, (-1, BLOCK))
    block_weights = weights.sum(-1, dtype=torch.float64)
    block_ends = block_weights.cumsum(dim=-1)
    block, target = _first_above(block_ends, block_weights, u.to(block_ends), relative=True)
    before = (block_ends - block_weights).gather(-1, block)
    inside = weights.gather(1, block[..., None].expand(-1, -1, BLOCK))[:, 0].to(torch.float64)
    place, _ = _first_above(before + inside.cumsum(dim=-1), inside, target[:, 0], relative=False)
    tokens = (block * BLOCK + place)[:, 0]
    return torch.where(block_ends[:, -1].isfinite(), tokens, -1)


def _first_above(ends: Tensor, weights: Tensor, target: Tensor, *, relative: bool) -> tuple[Tensor, Tensor]:
    """The first place whose cumulative weight exceeds the target, and the target: [R, 1] each.

    Args:
        ends: [R, N] cumulative sums of `weights`, which may round differently from place to place.
        target: [R], a share of the total where `relative`, else a sum.
    """
    # A place of weight zero can then exceed no target, and the total is the sum up to a possible place, even where a
    # parallel sum rounds differently from place to place.
    ends = ends.masked_fill(weights == 0, 0.0)
    total = ends.amax(dim=-1, keepdim=True)
    below = torch.nextafter(total, torch.zeros_like(total))  # a target near the total rounds to it: no sum exceeds it
    target = torch.minimum(target[:, None] * total if relative else target[:, None], below)
    return (ends > target).to(torch.uint8).argmax(dim=-1, keepdim=True), target  # argmax: the first of equal values
