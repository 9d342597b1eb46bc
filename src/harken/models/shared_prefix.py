"""Attention over packed rows [prompt | c1 | ... | cG] in two parts.

The prompt attends to itself, causally. Each completion attends to the prompt and to itself, with the other completions
in the batch dimension. A mask over the whole row would also compute every pair of two completions and hide it: 8 times
the pairs that are needed for completions of 512 tokens and G = 8. `LanguageModelMethods.hidden` takes a `SharedPrefix`
in place of a mask, and `use_shared_prefix` makes the layers of a language model understand it.

No kernel here is harken's own. On a GPU the two parts run as flash attention, which reads no mask. Elsewhere
the second has a mask of R x (P + R) numbers, which all layers share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.bias import causal_lower_right
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from harken.errors import CheckpointError
from harken.models.attention_mask import additive_mask, compute_dtype

NAME = "harken_shared_prefix"
"""The attention's name among transformers' own. With a mask or none it is their `sdpa`."""


@dataclass(frozen=True, eq=False, slots=True)
class PackedRow:
    """One row [prompt | c1 | ... | cG | padding].

    Attributes:
        prompt: tokens of the prompt.
        lengths: the places that each completion takes; completions without any are left out.
        slots: [G * R] places of the completions padded to the longest, counted from the prompt's end; any where padded.
        places: [sum of lengths] for each place of the completions its index among the G * R.
        bias: lets the completions, which are the last R of P + R positions, attend causally.
    """

    prompt: int
    lengths: tuple[int, ...]
    slots: Tensor
    places: Tensor
    bias: Any

    @property
    def ragged(self) -> bool:
        return len(set(self.lengths)) > 1

    def pad(self, states: Tensor) -> Tensor:
        """[heads, W, D] -> the completions as [G, heads, R, D]"""
        own = states[:, self.prompt : self.prompt + sum(self.lengths)]
        own = own.index_select(1, self.slots) if self.ragged else own
        return own.unflatten(1, (len(self.lengths), -1)).transpose(0, 1)

    def flatten(self, padded: Tensor) -> Tensor:
        """[G, heads, R, D] -> [heads, sum of lengths, D]"""
        flat = padded.transpose(0, 1).flatten(1, 2)
        return flat.index_select(1, self.places) if self.ragged else flat


@dataclass(frozen=True, eq=False, slots=True)
class SharedPrefix:
    """The rows of a batch, each padded to the same width, and the tokens of the longest prompt."""

    rows: tuple[PackedRow, ...]
    longest_prompt: int


def shared_prefix(shapes: Sequence[tuple[int, Sequence[int]]], like: Tensor) -> SharedPrefix:
    """For each row the tokens of its prompt and the places that each completion takes.

    Args:
        like: embeddings of these rows, for their device and dtype.
    """
    rows = tuple(_row(prompt, tuple(n for n in lengths if n), like) for prompt, lengths in shapes)
    return SharedPrefix(rows, max(row.prompt for row in rows))


def _row(prompt: int, lengths: tuple[int, ...], like: Tensor) -> PackedRow:
    longest = max(lengths, default=0)
    inside = torch.arange(longest) < torch.tensor(lengths, dtype=torch.int64)[:, None]
    places = inside.flatten().nonzero()[:, 0]
    slots = torch.zeros(inside.numel(), dtype=torch.int64)
    slots[places] = torch.arange(len(places))
    bias: Any = None
    if like.is_cuda and lengths:
        bias = causal_lower_right(longest, prompt + longest)
    elif lengths:
        causal = torch.ones(longest, prompt + longest, dtype=torch.bool, device=like.device).tril(prompt)
        bias = additive_mask(causal[None, None], compute_dtype(like))
    return PackedRow(prompt, lengths, slots.to(like.device), places.to(like.device), bias)


def use_shared_prefix(language_model: nn.Module) -> None:
    """Let the layers of a language model take a `SharedPrefix` as their mask.

    Raises CheckpointError for layers with sliding windows, which no mask of harken's has. No published checkpoint of
    the architectures here uses them.
    """
    config: Any = language_model.config
    if "sliding_attention" in getattr(config, "layer_types", ()):
        raise CheckpointError(
            f"a {config.model_type} with sliding windows of {config.sliding_window} tokens (use_sliding_window in its "
            "config.json), which harken does not compute"
        )
    config._attn_implementation = NAME


def _attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: "Tensor | SharedPrefix | None",
    scaling: float | None = None,
    shared_prefix: "SharedPrefix | None" = None,
    **options: Any,
) -> tuple[Tensor, None]:
    attention_mask = attention_mask if shared_prefix is None else shared_prefix
    if not isinstance(attention_mask, SharedPrefix):
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **options)
    return two_part_attention(query, key, value, attention_mask, scaling), None


def two_part_attention(
    query: Tensor, key: Tensor, value: Tensor, packed: SharedPrefix, scaling: float | None = None
) -> Tensor:
    """[B, heads, W, D] queries and [B, key heads, W, D] keys and values -> [B, W, heads, D]; padded places are 0."""
    dtype = compute_dtype(query)
    query, key, value = (states.to(dtype) for states in (query, key, value))
    options = {"scale": scaling, "enable_gqa": query.shape[1] != key.shape[1]}
    prompts = slice(packed.longest_prompt)  # beyond a shorter prompt come its completions, which replace the result
    attended = F.scaled_dot_product_attention(
        query[:, :, prompts], key[:, :, prompts], value[:, :, prompts], is_causal=True, **options
    )
    rows = []
    for b, row in enumerate(packed.rows):
        parts = [attended[b, :, : row.prompt]]
        if row.lengths:
            keys, values = (_after_prompt(states[b], row) for states in (key, value))
            own = F.scaled_dot_product_attention(row.pad(query[b]), keys, values, attn_mask=row.bias, **options)
            parts.append(row.flatten(own))
        padding = query.shape[2] - row.prompt - sum(row.lengths)
        if padding:
            parts.append(attended.new_zeros(attended.shape[1], padding, attended.shape[3]))
        rows.append(torch.cat(parts, 1))
    return torch.stack(rows).transpose(1, 2)


def _after_prompt(states: Tensor, row: PackedRow) -> Tensor:
    """[heads, W, D] -> [G, heads, P + R, D], the prompt and one completion each."""
    own = row.pad(states)
    prompt = states[None, :, : row.prompt].expand(own.shape[0], -1, -1, -1)
    return torch.cat([prompt, own], 2)


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
