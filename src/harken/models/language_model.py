"""The language model inside an audio language model: token embeddings, hidden states and logits.

`LanguageModelMethods` is the half of `AudioLM` that knows nothing about audio. The language models here are Qwen2,
Llama and their relatives, whose attention takes exactly the mask that it is given.
"""

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import Cache, DynamicCache

from harken.models.attention_mask import additive_mask, compute_dtype
from harken.models.shared_prefix import SharedPrefix
from harken.models.token_scores import score_tokens


class LanguageModelMethods(ABC):
    """See `AudioLM` for what each public method promises.

    Attributes:
        masks_by_kind: whether the language model takes one mask for each kind of layer, and passes them on as they are.
            One that does not makes a mask of what it is given.
    """

    masks_by_kind: ClassVar[bool] = True
    module: nn.Module

    @property
    @abstractmethod
    def parts(self) -> Mapping[str, nn.Module]: ...

    @property
    def _language_model(self) -> Any:
        return self.parts["language_model"]

    @property
    def _head(self) -> Any:
        return self.module.lm_head

    @property
    def device(self) -> torch.device:
        return self._head.weight.device

    def embed_tokens(self, token_ids: Tensor) -> Tensor:
        return self._language_model.embed_tokens(token_ids)

    def hidden(
        self,
        embeddings: Tensor,
        positions: Tensor,
        mask: Tensor | SharedPrefix | None,
        cache: Cache | None = None,
        read: Tensor | None = None,
    ) -> Tensor:
        if isinstance(mask, Tensor):
            mask = additive_mask(mask, compute_dtype(embeddings))
        with _last_feed_forward_at(self._language_model, embeddings, read):
            return self._language_model(
                inputs_embeds=embeddings,
                position_ids=self._position_ids(positions),
                **self._attention(mask),
                past_key_values=cache,
                use_cache=cache is not None,
            ).last_hidden_state

    def _attention(self, mask: Tensor | SharedPrefix | None) -> dict[str, Any]:
        """The arguments by which the language model gets its attention mask, additive where it is a tensor."""
        if self.masks_by_kind:
            return {"attention_mask": {"full_attention": mask, "sliding_attention": mask}}
        if isinstance(mask, SharedPrefix):  # goes past the language model to its layers
            return {"attention_mask": None, "shared_prefix": mask}
        return {"attention_mask": mask}

    def _position_ids(self, positions: Tensor) -> Tensor:
        """[B, T] positions in the form that the language model takes."""
        return positions

    def logits(self, hidden: Tensor) -> Tensor:
        logits = self._head(hidden)
        return logits if logits.dtype == torch.float64 else logits.float()

    def token_scores(self, hidden: Tensor, targets: Tensor, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
        return score_tokens(self._head, hidden, targets, temperature)

    def new_cache(self) -> Cache:
        return DynamicCache(config=self._language_model.config)


@contextlib.contextmanager
def _last_feed_forward_at(language_model: nn.Module, embeddings: Tensor, read: Tensor | None) -> Iterator[None]:
    """Inside the block, compute the last block's feed-forward layer only at the places `read` of the flattened rows,
    because nothing reads its output elsewhere. Not with gradient checkpointing, which computes the block again in the
    backward pass, after this context has ended."""
    layers: Any = language_model.layers
    last = layers[-1]
    if read is None or (last.gradient_checkpointing and last.training):
        yield
        return
    places = read.unique().to(embeddings.device)  # a place read twice must not count its gradient twice here
    rows, width = math.prod(embeddings.shape[:2]), embeddings.shape[2]

    def select(mlp: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
        return (arguments[0].flatten(0, 1)[None, places],)

    def put_back(mlp: nn.Module, arguments: tuple[Tensor], output: Tensor) -> Tensor:
        return output.new_zeros(rows, width).index_copy(0, places, output[0]).view(embeddings.shape)

    hooks = (last.mlp.register_forward_pre_hook(select), last.mlp.register_forward_hook(put_back))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
