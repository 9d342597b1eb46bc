"""A KV cache of fixed size, and a decoder that replays one CUDA graph for every token.

`grpo.cuda_graph: true` chooses it. Keys and values have their full length from the start and finished rows stay, so
that each token runs the same kernels on the same memory. The second token is recorded as a CUDA graph, and all further
tokens replay it, also those of the batches that a rollout decodes afterwards. This pays for long completions of models
whose kernels take longer to launch than to run. A CPU computes the same without a recording.

A graph serves one rollout and not the next: under autocast it reads bfloat16 copies of the weights that are made anew
in each step, and a sharded model gathers its weights to other addresses.
"""

import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import Cache, DynamicLayer

from harken.inference.kv_cache_growing import dtype_in_attention
from harken.models.audio_lm import AudioLM

LENGTH_STEP = 64
"""The length of a cache is rounded up to a multiple of this, so that kernels meet few different lengths in a run."""


class FixedLayer(DynamicLayer):
    """Keys and values [B, heads, T, D] of one layer; the next token is written at index `place`."""

    def __init__(self, like: Tensor, rows: int, tokens: int, place: Tensor) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized, self._place = dtype_in_attention(like), like.device, True, place
        shape = (rows, like.shape[1], tokens, like.shape[3])
        self._keys = like.new_zeros(shape, dtype=self.dtype)  # masked values may not be NaN
        self._values = torch.zeros_like(self._keys)

    def start(self, keys: Tensor, values: Tensor, group: int, end: int) -> None:
        """Put the prompts' keys and values [P, heads, T, D] before index `end`, `group` times each."""
        prompts, tokens = keys.shape[0], keys.shape[2]
        for own, given in ((self._keys, keys), (self._values, values)):
            rows = own[: prompts * group].unflatten(0, (prompts, group))
            rows[:, :, :, end - tokens : end] = given[:, None]

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **options: Any) -> tuple[Tensor, Tensor]:
        self._keys.index_copy_(2, self._place, key_states.to(self._keys.dtype))
        self._values.index_copy_(2, self._place, value_states.to(self._keys.dtype))
        return self._keys, self._values


class FixedCacheDecoder:
    """Computes the next hidden state of G rows for each of P prompts, token after token, one batch after another.

    Attributes:
        can_record: False once the driver or a kernel has refused to record, for all decoders of this process.

    Args:
        rows, tokens: most rows of a batch, and most tokens of a prompt.
        longest: most tokens that a row can take after its prompt.
    """

    can_record: ClassVar[bool] = True

    def __init__(self, model: AudioLM, rows: int, tokens: int, longest: int) -> None:
        self._model, self._rows, self._longest = model, rows, longest
        self._end = -(-(tokens + longest) // LENGTH_STEP) * LENGTH_STEP - longest  # of the prompts
        self._cache: Cache | None = None
        self._replay: Callable[[], Tensor] | None = None

    def start(self, cache: Cache, mask: Tensor, group: int) -> None:
        """Begin a batch.

        Args:
            cache: keys and values of the prompts; used up.
            mask: [P, T] bool, False where the prompts are padded.
        """
        rows, tokens = mask.shape[0] * group, mask.shape[1]
        if self._cache is None:
            self._allocate(cache, mask.device)
        assert self._cache is not None
        own: list[Any] = self._cache.layers
        prefilled: list[Any] = cache.layers
        for layer, given in zip(own, prefilled, strict=True):
            layer.start(given.keys, given.values, group, self._end)
        cache.layers = []
        self._place.fill_(self._end)
        self._attention.fill_(False)
        prompts = mask.repeat_interleave(group, 0)
        self._attention[:rows, 0, 0, self._end - tokens : self._end] = prompts
        self._position.zero_()
        self._position[:rows, 0] = prompts.sum(1)
        self._active = torch.arange(rows, device=mask.device)
        self._tokens_done = 0

    def keep_rows(self, rows: Tensor) -> None:
        """Report only these rows from now on, given by their index among the rows reported so far."""
        self._active = self._active[rows]

    def next_hidden(self, tokens: Tensor) -> Tensor:
        """[A] tokens, one for each reported row -> [A, H]."""
        self._token[self._active] = tokens
        if self._tokens_done == 1 and self._replay is None and self._may_record():
            self._replay = self._record()
        hidden = (self._replay or self._compute)()
        self._place += 1
        self._position += 1
        self._tokens_done += 1
        return hidden[self._active]

    def _may_record(self) -> bool:
        return self.can_record and self._token.device.type == "cuda"

    def _allocate(self, cache: Cache, device: torch.device) -> None:
        length = self._end + self._longest
        self._place = torch.zeros(1, dtype=torch.long, device=device)
        self._attention = torch.zeros(self._rows, 1, 1, length, dtype=torch.bool, device=device)
        self._token = torch.zeros(self._rows, dtype=torch.long, device=device)
        self._position = torch.zeros(self._rows, 1, dtype=torch.long, device=device)
        layers: list[Any] = cache.layers
        self._cache = self._model.new_cache()
        self._cache.layers = [  # pyright: ignore
            FixedLayer(layer.keys, self._rows, length, self._place) for layer in layers
        ]

    def _compute(self) -> Tensor:
        self._attention.index_fill_(3, self._place, True)
        embedded = self._model.embed_tokens(self._token)[:, None]
        return self._model.hidden(embedded, self._position, self._attention, self._cache)[:, -1]

    def _record(self) -> Callable[[], Tensor] | None:
        """Record the token at `place`. Recording computes nothing; each replay writes its token over.

        Returns None, after a warning, where the driver or a kernel refuses; each token is then launched by itself, also
        in later rollouts, which do not try again.
        """
        main, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(main)
        with torch.cuda.stream(aside):  # libraries set things up here that they must not while a graph is recorded
            self._compute()
        main.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads may allocate meanwhile: a judge in this process, the watchdog of NCCL.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                hidden = self._compute()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            FixedCacheDecoder.can_record = False
            reason = str(error).partition("\n")[0]
            warnings.warn(f"decoding goes on without a CUDA graph: {reason}", RuntimeWarning, stacklevel=2)
            return None

        def replay() -> Tensor:
            graph.replay()
            return hidden

        return replay
