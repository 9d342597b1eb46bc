"""Decoding in tensors that keep their places, so that CUDA launches the kernels of a token at once.

Takes prompts that are computed already, gives the hidden states of G rows each, token after token, as `GrowingRows`
does. Keys and values have their full length from the start and finished rows stay, so every token is the same kernels
on the same memory: they are recorded in a CUDA graph with the second token and replayed for all further ones. Pays for
long completions of a model whose kernels take longer to launch than to run. On a CPU the same without the recording.
Not taken: torch.compile, which takes minutes for a rollout of seconds; and fewer rows as they finish, which would be
recorded anew each time.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicLayer

from harken.inference.growing_cache import with_room
from harken.models.base import AudioLM


class FixedLayer(DynamicLayer):
    """Keys and values [B, heads, T + longest, D], of which the token at `place` is written next."""

    def __init__(self, keys: Tensor, values: Tensor, group: int, longest: int, place: Tensor) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized, self._place = keys.dtype, keys.device, True, place
        self._keys, self._values = (with_room(one, group, longest) for one in (keys, values))

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **options: Any) -> tuple[Tensor, Tensor]:
        self._keys.index_copy_(2, self._place, key_states)
        self._values.index_copy_(2, self._place, value_states)
        return self._keys, self._values


class FixedRows:
    """G rows for each of P prompts.

    Args:
        cache: of the prompts; used up.
        keys: [P, T] bool, False where the prompts are padded.
        longest: tokens that a row can take.
    """

    def __init__(self, model: AudioLM, cache: Cache, keys: Tensor, group: int, longest: int) -> None:
        device, rows, tokens = keys.device, keys.shape[0] * group, keys.shape[1]
        self._model, self._cache = model, cache
        self._place = torch.tensor([tokens], device=device)
        layers: list[Any] = cache.layers
        cache.layers = [FixedLayer(one.keys, one.values, group, longest, self._place) for one in layers]  # pyright: ignore
        self._visible = torch.zeros(rows, 1, 1, tokens + longest, dtype=torch.bool, device=device)
        self._visible[..., :tokens] = keys.repeat_interleave(group, 0)[:, None, None]
        self._token = torch.zeros(rows, dtype=torch.long, device=device)
        self._position = keys.sum(1).repeat_interleave(group)[:, None]
        self._active = torch.arange(rows, device=device)
        self._said = 0
        self._replay: Callable[[], Tensor] | None = None

    def keep(self, rows: Tensor) -> None:
        """Of the rows asked for so far, those that go on."""
        self._active = self._active[rows]

    def advance(self, tokens: Tensor) -> Tensor:
        """[A] tokens of the rows that go on -> [A, H]."""
        self._token[self._active] = tokens
        if self._said == 1 and self._token.device.type == "cuda":
            self._replay = self._recorded()
        hidden = (self._replay or self._one_token)()
        self._place += 1
        self._position += 1
        self._said += 1
        return hidden[self._active]

    def _one_token(self) -> Tensor:
        self._visible.index_fill_(3, self._place, True)
        embedded = self._model.embed_tokens(self._token)[:, None]
        return self._model.hidden(embedded, self._position, self._visible, self._cache)[:, -1]

    def _recorded(self) -> Callable[[], Tensor]:
        """The token at `place`, which a recording does not compute and a replay writes over."""
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):  # libraries set up what they may not while a graph is recorded
            self._one_token()
        here.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            hidden = self._one_token()

        def replay() -> Tensor:
            graph.replay()
            return hidden

        return replay
