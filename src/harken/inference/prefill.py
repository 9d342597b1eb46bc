"""The first pass of the model over a batch of prompts, which fills the KV cache.

`decode` samples completions from the result, and `score_continued` computes their log-probabilities from it.
"""

import contextlib
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import Cache

from harken.models.audio_lm import AudioLM


@dataclass(frozen=True, eq=False, slots=True)
class PrefilledPrompts:
    """P prompts that the model has read. Where the pass was made with gradients, all tensors carry its graph.

    Attributes:
        last_hidden: [P, H], the hidden state of each prompt's last token.
        cache: keys and values of all prompt tokens, left-padded to T tokens.
        mask: [P, T] bool, False where padded.
        padded: whether any prompt is padded.
    """

    last_hidden: Tensor
    cache: Cache
    mask: Tensor
    padded: bool

    def copy(self) -> "PrefilledPrompts":
        """A copy that shares the tensors. Extending or branching its cache leaves the original as it is."""
        cache = copy.copy(self.cache)
        cache.layers = [copy.copy(layer) for layer in self.cache.layers]
        return PrefilledPrompts(self.last_hidden, cache, self.mask, self.padded)


def join(parts: Sequence[PrefilledPrompts]) -> PrefilledPrompts:
    """All prompts of the parts as one, without their graphs. The parts are not changed."""
    if len(parts) == 1:
        return parts[0].copy()
    longest = max(part.mask.shape[1] for part in parts)

    def pad(tensor: Tensor, dim: int) -> Tensor:
        """Padded on the left of a dimension, counted from the end."""
        return F.pad(tensor.detach(), (0, 0) * (-1 - dim) + (longest - tensor.shape[dim], 0))

    joined = parts[0].copy()
    layers: list[Any] = joined.cache.layers
    for i, layer in enumerate(layers):
        sources: list[Any] = [part.cache.layers[i] for part in parts]
        layer.keys = torch.cat([pad(source.keys, -2) for source in sources])
        layer.values = torch.cat([pad(source.values, -2) for source in sources])
    mask = torch.cat([pad(part.mask, -1) for part in parts])
    padded = any(part.padded or part.mask.shape[1] < longest for part in parts)
    return PrefilledPrompts(torch.cat([part.last_hidden.detach() for part in parts]), joined.cache, mask, padded)


def prefill(model: AudioLM, prompts: Sequence[Tensor]) -> PrefilledPrompts:
    """Run the model once over P embedded prompts, [T, H] each, left-padded. Keeps gradients where they are enabled.

    Raises RuntimeError where the model did not fill the cache.
    """
    lengths = [prompt.shape[0] for prompt in prompts]
    longest, device = max(lengths), prompts[0].device
    padded = min(lengths) < longest
    embeddings = pad_sequence(list(prompts), batch_first=True, padding_side="left")
    index = torch.arange(longest, device=device)
    padding = longest - torch.tensor(lengths, device=device)[:, None]
    mask = index >= padding
    positions = (index - padding).clamp(min=0)
    attention = None
    if padded:
        itself = torch.eye(longest, dtype=torch.bool, device=device)  # padding attends to itself: no empty softmax
        attention = ((index[:, None] >= index) & mask[:, None] | itself)[:, None]
    cache = model.new_cache()
    last_tokens = longest * torch.arange(1, len(prompts) + 1) - 1
    with evaluation_mode(model):
        hidden = model.hidden(embeddings, positions, attention, cache, read=last_tokens)
    if cache.get_seq_length() != longest:
        raise RuntimeError(f"the cache holds {cache.get_seq_length()} of {longest} prompt tokens after prefill")
    return PrefilledPrompts(hidden[:, -1], cache, mask, padded)


@torch.no_grad()
def next_token_logits(model: AudioLM, prompts: Sequence[Tensor]) -> Tensor:
    """[P, V] logits of the first token of an answer to P embedded prompts."""
    return model.logits(prefill(model, prompts).last_hidden)


@contextlib.contextmanager
def evaluation_mode(model: AudioLM) -> Iterator[None]:
    """Switch train mode off inside the block: with gradient checkpointing, transformers then drops the cache without an
    error."""
    was_training = model.module.training
    model.module.eval()
    try:
        yield
    finally:
        model.module.train(was_training)
