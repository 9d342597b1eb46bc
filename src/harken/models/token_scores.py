"""Log-probabilities and entropies of tokens from hidden states, without the logits of all rows at once.

`AudioLM.token_scores` calls `score_tokens`. A row of logits has a number for every word of the vocabulary: 4,096 rows
of 152,064 take 2.5 GB in float32, and several times that while a log-softmax goes forward and backward. Here the rows
are cut into pieces of `LOGIT_ROWS`, each made again in the backward pass, which adds up one gradient of the head. It is
one call of the head, so a sharded head is gathered once and sends its gradient once, however many rows a rank has.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from harken.models.attention_mask import compute_dtype

LOGIT_ROWS = 512
"""Rows of logits that are computed at once. With a vocabulary of 152,064 in float32 these are 0.3 GB, and about
twice that while the log-softmax is computed."""


def score_tokens(
    head: Any, hidden: Tensor, targets: Tensor, temperature: float, rows: int | None = None
) -> tuple[Tensor, Tensor]:
    """[N] log-probabilities of the targets under softmax(logits / temperature), with gradients, and [N] entropies in
    nats, without; at least float32.

    Args:
        head: a linear layer, H -> V; one whose weights are kept in another form has the method `whole_weight`.
        hidden: [N, H].
        targets: [N] int64.
        rows: rows at once; default LOGIT_ROWS.
    """
    weight = head.whole_weight() if hasattr(head, "whole_weight") else head.weight
    return _TokenScores.apply(hidden, weight, head.bias, targets, temperature, rows or LOGIT_ROWS)


class _TokenScores(torch.autograd.Function):
    """For up to `rows` rows the backward pass uses the log-probabilities of all words that were kept for it. Beyond, it
    computes them again."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, temperature: float, rows: int
    ) -> tuple[Tensor, Tensor]:
        ctx.dtype, ctx.temperature, ctx.rows = compute_dtype(hidden), temperature, rows
        scores, kept = [], None
        with torch.autocast(hidden.device.type, enabled=False):
            own_weight, own_bias = _cast(weight, ctx.dtype), _cast(bias, ctx.dtype)
            for piece, target in zip(hidden.split(rows), targets.split(rows), strict=True):
                logp = _log_softmax(piece.to(ctx.dtype), own_weight, own_bias, temperature)
                kept = logp if len(targets) <= rows else None
                scores.append((logp.gather(-1, target[:, None])[:, 0], -(logp.exp().mul_(logp)).sum(-1)))
        ctx.save_for_backward(hidden, weight, bias, targets, kept)
        logp, entropy = (torch.cat(values) for values in zip(*scores, strict=True))
        ctx.mark_non_differentiable(entropy)
        return logp, entropy

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, targets, kept = ctx.saved_tensors
        of_hidden, of_weight, of_bias = ctx.needs_input_grad[:3]
        pieces, weight_gradient = [], None
        bias_gradient = torch.zeros_like(bias) if of_bias else None
        with torch.autocast(hidden.device.type, enabled=False):
            own_weight, own_bias = _cast(weight, ctx.dtype), _cast(bias, ctx.dtype)
            split = (tensor.split(ctx.rows) for tensor in (hidden, targets, gradients[0]))
            for piece, target, gradient in zip(*split, strict=True):
                states = piece.to(ctx.dtype)
                logp = _log_softmax(states, own_weight, own_bias, ctx.temperature) if kept is None else kept
                of_logits = _logit_gradient(logp, target, gradient, ctx.temperature).to(ctx.dtype)
                if of_hidden:
                    pieces.append((of_logits @ own_weight).to(hidden.dtype))
                if of_weight:
                    weight_gradient = _add_product(weight_gradient, of_logits.t(), states, weight.dtype)
                if bias_gradient is not None:
                    bias_gradient += of_logits.sum(0)
        return torch.cat(pieces) if of_hidden else None, weight_gradient, bias_gradient, None, None, None


def _cast(tensor: Tensor | None, dtype: torch.dtype) -> Any:
    return None if tensor is None else tensor.to(dtype)


def _log_softmax(hidden: Tensor, weight: Tensor, bias: Tensor | None, temperature: float) -> Tensor:
    """[N, V], at least float32."""
    logits = F.linear(hidden, weight, bias)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return torch.log_softmax(logits if temperature == 1 else logits.div_(temperature), -1)


def _logit_gradient(logp: Tensor, targets: Tensor, gradient: Tensor, temperature: float) -> Tensor:
    """[N, V] gradient of the logits: (1 at the target - softmax) * gradient / temperature."""
    gradient = gradient[:, None]
    of_logits = logp.exp().mul_(-gradient).scatter_add_(1, targets[:, None], gradient)
    return of_logits if temperature == 1 else of_logits.div_(temperature)


def _add_product(total: Tensor | None, left: Tensor, right: Tensor, dtype: torch.dtype) -> Tensor:
    """total + left @ right, in the dtype of the weight, whose gradient it is."""
    if total is None:
        return (left @ right).to(dtype)
    if total.dtype == left.dtype:
        return total.addmm_(left, right)
    return total.add_(left @ right)
