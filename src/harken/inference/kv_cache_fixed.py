"""A KV cache of fixed size, and a decoder that replays one CUDA graph for every token.

`grpo.cuda_graph: true` chooses it. Keys and values have their full length from the start and finished rows stay, so
that each token runs the same kernels on the same memory. The second token is recorded as a CUDA graph, and all
further tokens replay it. This pays for long completions of models whose kernels take longer to launch than to run.
A CPU computes the same without a recording.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicLayer

from harken.inference.kv_cache_growing import repeat_with_room
from harken.models.audio_lm import AudioLM


class FixedLayer(DynamicLayer):
    """Keys and values [B, heads, T + longest, D] of one layer; the next token is written at index `place`."""

    def __init__(self, keys: Tensor, values: Tensor, group: int, longest: int, place: Tensor) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized, self._place = keys.dtype, keys.device, True, place
        self._keys = repeat_with_room(keys, group, longest)
        self._values = repeat_with_room(values, group, longest)

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **options: Any) -> tuple[Tensor, Tensor]:
        self._keys.index_copy_(2, self._place, key_states)
        self._values.index_copy_(2, self._place, value_states)
        return self._keys, self._values


class FixedCacheDecoder:
    """Computes the next hidden state of G rows for each of P prompts, token after token.

    Args:
        cache: keys and values of the prompts; used up.
        mask: [P, T] bool, False where the prompts are padded.
        longest: most tokens that a row can take.
    """

    def __init__(self, model: AudioLM, cache: Cache, mask: Tensor, group: int, longest: int) -> None:
        device, rows, tokens = mask.device, mask.shape[0] * group, mask.shape[1]
        self._model, self._cache = model, cache
        self._place = torch.tensor([tokens], device=device)
        layers: list[Any] = cache.layers
        cache.layers = [  # pyright: ignore
            FixedLayer(layer.keys, layer.values, group, longest, self._place) for layer in layers
        ]
        self._attention = torch.zeros(rows, 1, 1, tokens + longest, dtype=torch.bool, device=device)
        self._attention[..., :tokens] = mask.repeat_interleave(group, 0)[:, None, None]
        self._token = torch.zeros(rows, dtype=torch.long, device=device)
        self._position = mask.sum(1).repeat_interleave(group)[:, None]
        self._active = torch.arange(rows, device=device)
        self._tokens_done = 0
        self._replay: Callable[[], Tensor] | None = None

    def keep_rows(self, rows: Tensor) -> None:
        """Report only these rows from now on, given by their index among the rows reported so far."""
        self._active = self._active[rows]

    def next_hidden(self, tokens: Tensor) -> Tensor:
        """[A] tokens, one for each reported row -> [A, H]."""
        self._token[self._active] = tokens
        if self._tokens_done == 1 and self._token.device.type == "cuda":
            self._replay = self._record()
        hidden = (self._replay or self._compute)()
        self._place += 1
        self._position += 1
        self._tokens_done += 1
        return hidden[self._active]

    def _compute(self) -> Tensor:
        self._attention.index_fill_(3, self._place, True)
        embedded = self._model.embed_tokens(self._token)[:, None]
        return self._model.hidden(embedded, self._position, self._attention, self._cache)[:, -1]

    def _record(self) -> Callable[[], Tensor]:
        """Record the token at `place`. Recording computes nothing; each replay writes its token over."""
        main, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(main)
        with torch.cuda.stream(aside):  # libraries set things up here that they must not while a graph is recorded
            self._compute()
        main.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            hidden = self._compute()

        def replay() -> Tensor:
            graph.replay()
            return hidden

        return replay
