"""A KV cache that grows by blocks of tokens, and a decoder that removes the rows that have finished.

This is the normal way to decode. transformers' own dynamic cache copies everything it holds for each new token; this
one writes the new token into room that is reserved behind the others.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicLayer

from harken.models.audio_lm import AudioLM

ROOM_TOKENS = 64
"""Tokens of room that are added whenever a layer is full, which copies it; fewer where fewer can come."""


class GrowingLayer(DynamicLayer):
    """Keys and values [B, heads, T, D] of one layer, as views of larger tensors in which the next token is written.

    Args:
        longest: most tokens that a row will have, the prompt's included.
    """

    keys: Tensor  # pyright: ignore[reportIncompatibleVariableOverride]
    values: Tensor  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, keys: Tensor, values: Tensor, rows_per_prompt: int, longest: int) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized = dtype_in_attention(keys), keys.device, True
        self._longest = longest
        self._grow(keys, values, rows_per_prompt)
        self._view(keys.shape[-2])

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **options: Any) -> tuple[Tensor, Tensor]:
        start = self.keys.shape[-2]
        end = start + key_states.shape[-2]
        if end > self._all_keys.shape[-2]:
            self._grow(self.keys, self.values, 1)
        self._all_keys[..., start:end, :] = key_states
        self._all_values[..., start:end, :] = value_states
        self._view(end)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        self._all_keys, self._all_values = self._all_keys[indices], self._all_values[indices]
        self._view(self.keys.shape[-2])

    def _grow(self, keys: Tensor, values: Tensor, rows_per_prompt: int) -> None:
        room = min(ROOM_TOKENS, max(1, self._longest - keys.shape[-2]))
        self._all_keys = repeat_with_room(keys, rows_per_prompt, room, dtype_in_attention(keys))
        self._all_values = repeat_with_room(values, rows_per_prompt, room, dtype_in_attention(values))

    def _view(self, tokens: int) -> None:
        self.keys, self.values = self._all_keys[..., :tokens, :], self._all_values[..., :tokens, :]


class GrowingCacheDecoder:
    """Computes the next hidden state of G rows for each of P prompts, token after token.

    Args:
        cache: keys and values of the prompts; used up.
        mask: [P, T] bool, False where the prompts are padded.
        padded: whether any prompt is padded.
        longest: most tokens of a completion.
    """

    def __init__(self, model: AudioLM, cache: Cache, mask: Tensor, padded: bool, group: int, longest: int) -> None:
        branch(cache, group, mask.shape[1] + longest)
        self._model, self._cache, self._padded = model, cache, padded
        self._mask = mask.repeat_interleave(group, 0)
        self._position = self._mask.sum(1)[:, None]

    def keep_rows(self, rows: Tensor) -> None:
        """Remove all rows but these, given by their index among the present rows."""
        self._cache.batch_select_indices(rows)
        self._mask, self._position = self._mask[rows], self._position[rows]

    def next_hidden(self, tokens: Tensor) -> Tensor:
        """[A] tokens, one for each present row -> [A, H]."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], 1)
        attention = self._mask[:, None, None] if self._padded else None
        embedded = self._model.embed_tokens(tokens)[:, None]
        hidden = self._model.hidden(embedded, self._position, attention, self._cache)[:, -1]
        self._position = self._position + 1
        return hidden


def branch(cache: Cache, rows_per_prompt: int, longest: int) -> None:
    """Repeat each prompt's keys and values for its rows, with room for the tokens to come, at most `longest` with the
    prompt's. `cache` itself changes; the tensors that it held do not."""
    layers: list[Any] = cache.layers
    cache.layers = [  # pyright: ignore
        GrowingLayer(layer.keys, layer.values, rows_per_prompt, longest) for layer in layers
    ]


def repeat_with_room(tensor: Tensor, rows_per_prompt: int, room: int, dtype: torch.dtype) -> Tensor:
    """[P, heads, T, D] -> [P * rows_per_prompt, heads, T + room, D]: a copy. What the room holds is never read before a
    token is written there."""
    prompts, heads, tokens, width = tensor.shape
    larger = tensor.new_empty(prompts, rows_per_prompt, heads, tokens + room, width, dtype=dtype)
    larger[:, :, :, :tokens] = tensor[:, None]
    return larger.flatten(0, 1)


def dtype_in_attention(keys: Tensor) -> torch.dtype:
    """The number type in which attention will read keys and values. Under autocast over float32 weights keys come in
    float32, since rotary positions do; attention then rounds all of them for every token, unless they are kept so."""
    kind = keys.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else keys.dtype
