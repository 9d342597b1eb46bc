"""Decoding in rows that grow and leave: keys and values with room for the tokens to come.

Takes prompts that are computed already, gives the hidden states of G rows each, token after token. transformers' own
dynamic cache copies all it holds for every token that it takes in. Not taken: its static cache, which is made at its
longest length from the start and attends to all of it.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicLayer

from harken.models.base import AudioLM

ROOM_TOKENS = 16
"""Added whenever a layer is full."""


class RoomyLayer(DynamicLayer):
    """Keys and values [B, heads, T, D] as views of larger tensors, in which a further token is written behind them."""

    keys: Tensor  # pyright: ignore[reportIncompatibleVariableOverride]
    values: Tensor  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, keys: Tensor, values: Tensor, rows_per_prompt: int) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        self._all_keys, self._all_values = (with_room(one, rows_per_prompt, ROOM_TOKENS) for one in (keys, values))
        self._view(keys.shape[-2])

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **options: Any) -> tuple[Tensor, Tensor]:
        start = self.keys.shape[-2]
        end = start + key_states.shape[-2]
        if end > self._all_keys.shape[-2]:
            self._all_keys, self._all_values = (with_room(one, 1, ROOM_TOKENS) for one in (self.keys, self.values))
        self._all_keys[..., start:end, :] = key_states
        self._all_values[..., start:end, :] = value_states
        self._view(end)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        self._all_keys, self._all_values = self._all_keys[indices], self._all_values[indices]
        self._view(self.keys.shape[-2])

    def _view(self, tokens: int) -> None:
        self.keys, self.values = self._all_keys[..., :tokens, :], self._all_values[..., :tokens, :]


class GrowingRows:
    """G rows for each of P prompts.

    Args:
        cache: of the prompts; used up.
        keys: [P, T] bool, False where the prompts are padded.
        padded: whether any is.
    """

    def __init__(self, model: AudioLM, cache: Cache, keys: Tensor, padded: bool, group: int) -> None:
        branch(cache, group)
        self._model, self._cache, self._padded = model, cache, padded
        self._keys = keys.repeat_interleave(group, 0)
        self._position = self._keys.sum(1)[:, None]

    def keep(self, rows: Tensor) -> None:
        """Of the rows there are, those that go on."""
        self._cache.batch_select_indices(rows)
        self._keys, self._position = self._keys[rows], self._position[rows]

    def advance(self, tokens: Tensor) -> Tensor:
        """[A] tokens of the rows that go on -> [A, H]."""
        self._keys = torch.cat([self._keys, self._keys.new_ones(len(tokens), 1)], 1)
        visible = self._keys[:, None, None] if self._padded else None
        embedded = self._model.embed_tokens(tokens)[:, None]
        hidden = self._model.hidden(embedded, self._position, visible, self._cache)[:, -1]
        self._position = self._position + 1
        return hidden


def branch(cache: Cache, rows_per_prompt: int) -> None:
    """Repeat each prompt's keys and values for its rows, with room for what they say; `cache` itself changes, the
    tensors that it held do not."""
    layers: list[Any] = cache.layers
    cache.layers = [RoomyLayer(layer.keys, layer.values, rows_per_prompt) for layer in layers]  # pyright: ignore


def with_room(held: Tensor, rows_per_prompt: int, room: int) -> Tensor:
    """[P, heads, T, D] -> [P * rows_per_prompt, heads, T + room, D], zeros in the room."""
    prompts, heads, tokens, width = held.shape
    larger = held.new_empty(prompts, rows_per_prompt, heads, tokens + room, width)
    larger[:, :, :, :tokens] = held[:, None]
    larger[:, :, :, tokens:] = 0.0  # what is masked out may be anything but NaN
    return larger.flatten(0, 1)
