"""Attention over all chunks of all clips at once for the towers of Qwen's Omni models, and that of Qwen2.5-Omni.

These towers hear a clip in chunks that do not attend to each other, 2 s in Qwen2.5-Omni and 8 s in Qwen3-Omni
(`convolved_tower.py`). transformers calls attention once for each chunk in each layer and reads the chunks' lengths
from the device there. Here the lengths are known on the host, and attention is one call a layer, with chunks in the
batch dimension and a mask where they differ in length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.qwen2_5_omni.modeling_qwen2_5_omni import Qwen2_5OmniAudioAttention
from transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe import Qwen3OmniMoeAudioAttention

from harken.models.attention_mask import additive_mask, compute_dtype


@dataclass(frozen=True, eq=False, slots=True)
class Chunks:
    """N chunks whose T positions follow each other in one sequence.

    Attributes:
        slots: [N * L], for each position of the chunks padded to L its place among the T; any place where padded.
        places: [T], for each of the T its place in the padded chunks.
        mask: [N, 1, 1, L] additive, or None where all chunks are equally long and nothing is padded.
        number: N.
    """

    slots: Tensor
    places: Tensor
    mask: Tensor | None
    number: int

    def pad(self, flat: Tensor) -> Tensor:
        """[T, H] -> [N, L, H]"""
        padded = flat if self.mask is None else flat.index_select(0, self.slots)
        return padded.view(self.number, -1, flat.shape[-1])

    def flatten(self, padded: Tensor) -> Tensor:
        """[N, L, H] -> [T, H]"""
        flat = padded.reshape(-1, padded.shape[-1])
        return flat if self.mask is None else flat.index_select(0, self.places)


class _ChunkedAttention:
    """A tower's attention, one call for all chunks where it is given `chunks`, transformers' own without."""

    def forward(
        self: Any,
        hidden_states: Tensor,
        cu_seqlens: Tensor | None = None,
        max_seqlen: int | None = None,
        chunks: Chunks | None = None,
        **kwargs: Any,
    ) -> Tensor:
        if chunks is None:
            assert cu_seqlens is not None
            own: Any = super()
            return own.forward(hidden_states, cu_seqlens, max_seqlen, **kwargs)
        projections = (self.q_proj, self.k_proj, self.v_proj)
        padded = [chunks.pad(projection(hidden_states)) for projection in projections]
        queries, keys, values = (states.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for states in padded)
        attended = F.scaled_dot_product_attention(queries, keys, values, attn_mask=chunks.mask, scale=self.scaling)
        return self.out_proj(chunks.flatten(attended.transpose(1, 2).flatten(2)))


class _ChunkedOmniAttention(_ChunkedAttention, Qwen2_5OmniAudioAttention):
    pass


class _ChunkedMoeAttention(_ChunkedAttention, Qwen3OmniMoeAudioAttention):
    pass


_CHUNKED = {Qwen2_5OmniAudioAttention: _ChunkedOmniAttention, Qwen3OmniMoeAudioAttention: _ChunkedMoeAttention}
"""transformers' class -> the one that takes `chunks`, with the same parameters and attributes and another forward."""


def use_chunked_attention(tower: nn.Module) -> None:
    """Let the tower's layers take `chunks`. Its own forward pass stays as it is."""
    layers: Any = tower.layers
    for layer in layers:
        layer.self_attn.__class__ = _CHUNKED[type(layer.self_attn)]


def encode_chunks(tower: Any, clips: Sequence[Tensor], device: torch.device) -> Tensor:
    """Features of several clips, [mel bins, F] each, through the tower without its projector: [sum of audio tokens,
    D]."""
    dtype, size = tower.conv1.weight.dtype, 2 * tower.n_window
    pieces = [piece for features in clips for piece in features.split(size, 1)]
    frames = [piece.shape[1] for piece in pieces]
    longest = max(frames)
    padded = torch.stack([F.pad(piece, (0, longest - piece.shape[1])) for piece in pieces]).to(device, dtype)
    hidden = F.gelu(tower.conv1(padded))
    if min(frames) < longest:
        present = torch.arange(longest) < torch.tensor(frames)[:, None]
        hidden = hidden * present[:, None].to(device, hidden.dtype)
    hidden = F.gelu(tower.conv2(hidden)).transpose(1, 2)
    positions: Tensor = tower.positional_embedding.positional_embedding[: hidden.shape[1]]
    hidden = hidden + positions.to(hidden.dtype)
    chunks = chunks_of([halved(n) for n in frames], hidden.shape[1], hidden)
    hidden = chunks.flatten(hidden)
    for layer in tower.layers:
        hidden = layer(hidden, cu_seqlens=None, chunks=chunks)[0]
    first = _first_of_pairs([halved(features.shape[1]) for features in clips]).to(device)
    hidden = (hidden.index_select(0, first) + hidden.index_select(0, first + 1)) / 2
    return tower.ln_post(hidden)


def halved(frames: int) -> int:
    """Frames that a convolution of stride 2 makes of so many."""
    return (frames - 1) // 2 + 1


def chunks_of(lengths: Sequence[int], width: int, like: Tensor) -> Chunks:
    """The layout of chunks of these lengths, padded to `width`, on the device of `like` and in its dtype."""
    number = len(lengths)
    present = torch.arange(width) < torch.tensor(lengths)[:, None]
    places = present.flatten().nonzero()[:, 0]
    slots = torch.zeros(number * width, dtype=torch.int64)
    slots[places] = torch.arange(len(places))
    mask = None
    if len(places) < number * width:
        mask = additive_mask(present[:, None, None].to(like.device), compute_dtype(like))
    return Chunks(slots.to(like.device), places.to(like.device), mask, number)


def _first_of_pairs(lengths: Sequence[int]) -> Tensor:
    """The places of the first of each two positions that make one audio token. A clip's last position without a
    second is left out."""
    places, start = [], 0
    for n in lengths:
        places.append(torch.arange(start, start + n - 1, 2))
        start += n
    return torch.cat(places)
