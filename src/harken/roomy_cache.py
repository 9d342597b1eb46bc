"""Keys and values of a rollout with room for the tokens to come.

Takes the cache of a prefill, gives one of G rows per prompt that grows in place. transformers' own dynamic cache copies
all it holds for every token that it takes in. Not taken: its static cache, which is made at its longest length from the
start and attends to all of it.
"""

from typing import Any

from torch import Tensor
from transformers import Cache, DynamicLayer

ROOM_TOKENS = 16
"""Added whenever a layer is full."""


class RoomyLayer(DynamicLayer):
    """Keys and values [B, heads, T, D] as views of larger tensors, in which a further token is written behind them."""

    keys: Tensor  # pyright: ignore[reportIncompatibleVariableOverride]
    values: Tensor  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, keys: Tensor, values: Tensor, rows_per_prompt: int) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        self._all_keys, self._all_values = (_with_room(one, rows_per_prompt) for one in (keys, values))
        self._view(keys.shape[-2])

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **options: Any) -> tuple[Tensor, Tensor]:
        start = self.keys.shape[-2]
        end = start + key_states.shape[-2]
        if end > self._all_keys.shape[-2]:
            self._all_keys, self._all_values = _with_room(self.keys), _with_room(self.values)
        self._all_keys[..., start:end, :] = key_states
        self._all_values[..., start:end, :] = value_states
        self._view(end)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        self._all_keys, self._all_values = self._all_keys[indices], self._all_values[indices]
        self._view(self.keys.shape[-2])

    def _view(self, tokens: int) -> None:
        self.keys, self.values = self._all_keys[..., :tokens, :], self._all_values[..., :tokens, :]


def branch(cache: Cache, rows_per_prompt: int) -> None:
    """Repeat each prompt's keys and values for its rows, with room for what they say; `cache` itself changes, the
    tensors that it held do not."""
    layers: list[Any] = cache.layers
    cache.layers = [RoomyLayer(layer.keys, layer.values, rows_per_prompt) for layer in layers]  # pyright: ignore


def _with_room(held: Tensor, rows_per_prompt: int = 1) -> Tensor:
    prompts, heads, tokens, width = held.shape
    larger = held.new_empty(prompts, rows_per_prompt, heads, tokens + ROOM_TOKENS, width)
    larger[:, :, :, :tokens] = held[:, None]
    return larger.flatten(0, 1)
