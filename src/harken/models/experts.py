"""The experts of a mixture-of-experts block: each token passes through the few that its router has chosen.

The rows of all tokens are sorted by expert, and one grouped product goes over all experts. Nothing is read from the
device, so a decode step stays in the queue. transformers has such a form too; it leaves autocast aside and knows no
float64, in which the tests compare. `use_grouped_experts` makes the blocks of a language model compute it this way.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS
from transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe import (
    Qwen3OmniMoeThinkerTextExperts,
    Qwen3OmniMoeThinkerTextTopKRouter,
)

from harken.models.attention_mask import compute_dtype

NAME = "harken_experts"
"""The name of this form among transformers' own."""

CAST_BY_AUTOCAST = (Qwen3OmniMoeThinkerTextExperts, Qwen3OmniMoeThinkerTextTopKRouter)
"""Modules whose weights are cast before each product under autocast, as those of linear layers are."""


def use_grouped_experts(language_model: nn.Module) -> None:
    config: Any = language_model.config
    config._experts_implementation = NAME


def routers(language_model: nn.Module) -> list[nn.Module]:
    """The module of each block that chooses experts; none in a model without experts."""
    layers: Any = language_model.layers
    return [layer.mlp.gate for layer in layers if hasattr(getattr(layer, "mlp", None), "experts")]


def _grouped_experts(experts: Any, hidden: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
    """[N, H] -> [N, H]: for each token the sum of its K experts' outputs, each times its weight.

    Args:
        chosen: [N, K] int64, the experts of each token.
        weights: [N, K].
    """
    dtype = compute_dtype(hidden)
    by_expert, order = torch.sort(chosen.flatten(), stable=True)
    numbers = torch.arange(experts.num_experts, device=hidden.device)
    ends = torch.searchsorted(by_expert, numbers, right=True).to(torch.int32)
    rows = hidden[order // chosen.shape[1]].to(dtype)
    gate, up = _grouped_product(rows, experts.gate_up_proj.to(dtype), ends).chunk(2, -1)
    output = _grouped_product(experts.act_fn(gate) * up, experts.down_proj.to(dtype), ends)
    output = output * weights.flatten()[order, None]
    back = torch.empty_like(order).index_copy_(0, order, torch.arange(len(order), device=order.device))
    return output[back].unflatten(0, chosen.shape).sum(1).to(hidden.dtype)


def _grouped_product(rows: Tensor, weight: Tensor, ends: Tensor) -> Tensor:
    """[S, in] rows sorted by expert, [E, out, in] -> [S, out]; the rows of expert e end before `ends[e]`."""
    if rows.dtype == torch.float64:  # which the kernel does not take
        expert = torch.searchsorted(ends, torch.arange(len(rows), device=rows.device), right=True)
        products = [F.linear(rows, each) * (expert == e)[:, None] for e, each in enumerate(weight)]
        return torch.stack(products).sum(0)
    return F.grouped_mm(rows, weight.transpose(1, 2), offs=ends)


ALL_EXPERTS_FUNCTIONS.register(NAME, _grouped_experts)
