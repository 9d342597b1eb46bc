"""Completions for a batch of prompts: prefill once, branch G times, sample.

Takes embedded prompts (audio already encoded, once), gives tokens with the log-probabilities they were sampled at.
Row r is completion r % G of prompt r // G. Not taken: `generate(num_return_sequences=G)`, which encodes and prefills
every prompt G times, and a shared random generator: each token is drawn with its own uniform number, so that the
batch layout changes no sample.
"""

import contextlib
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import Cache

from harken.inference.fixed_cache import FixedRows
from harken.inference.growing_cache import GrowingRows
from harken.inference.sampling import filter_logits, inverse_cdf
from harken.models.base import AudioLM


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen. temperature 0 = greedy; top_k 0 = off; cuda_graph: see `fixed_rows.py`."""

    temperature: float
    max_completion_tokens: int
    top_p: float = 1.0
    top_k: int = 0
    cuda_graph: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Completions:
    """R sampled rows, prompt-major.

    Attributes:
        tokens: [R, L] int64, right-padded with 0.
        mask: [R, L] bool, True up to and including the end-of-sequence token.
        logp: [R, L] untempered log-probabilities of the tokens at sampling time, 0 where masked.
        ended: [R] bool, False where the row was cut at the maximum length.
    """

    tokens: Tensor
    mask: Tensor
    logp: Tensor
    ended: Tensor

    @property
    def lengths(self) -> Tensor:
        return self.mask.sum(1)


@dataclass(frozen=True, eq=False, slots=True)
class Prefilled:
    """P prompts after one pass.

    Attributes:
        hidden: [P, H], of their last tokens.
        cache: their keys and values, left-padded to T.
        keys: [P, T] bool, False where padded.
        padded: whether any is.
    All carry the graph of the pass where it was made with gradients.
    """

    hidden: Tensor
    cache: Cache
    keys: Tensor
    padded: bool

    def copy(self) -> "Prefilled":
        """Shares the tensors; what extends or branches the copy's cache leaves this one as it is."""
        cache = copy.copy(self.cache)
        cache.layers = [copy.copy(layer) for layer in self.cache.layers]
        return Prefilled(self.hidden, cache, self.keys, self.padded)


def as_completions(answers: Sequence[Tensor], device: torch.device) -> Completions:
    """Known answers, [L] tokens each with their end of sequence, in the place of sampled rows."""
    tokens = pad_sequence(list(answers), batch_first=True).to(device)
    lengths = torch.tensor([len(answer) for answer in answers], device=device)
    mask = torch.arange(tokens.shape[1], device=device) < lengths[:, None]
    return Completions(
        tokens, mask, torch.zeros(tokens.shape, device=device), torch.ones_like(lengths, dtype=torch.bool)
    )


@torch.no_grad()
def rollout(
    model: AudioLM,
    prompts: Sequence[Tensor],
    completions_per_prompt: int,
    sampling: Sampling,
    uniforms: Tensor | None,
    most_rows: int | None = None,
) -> Completions:
    """Sample G completions for each of P prompts.

    Args:
        prompts: P embedded prompts, [T, H] each, lengths may differ.
        uniforms: [R, max_completion_tokens] float64 in [0, 1), one per token; None for greedy.
        most_rows: decoded at once, so that their keys and values fit; None = all. Whole groups where one fits, else
            parts of one, for each of which its prompt is computed again. Changes no sample.
    """
    parts = []
    for first, last, group in _portions(len(prompts), completions_per_prompt, most_rows):
        done = sum(len(part.ended) for part in parts)
        numbers = None if uniforms is None else uniforms[done : done + (last - first) * group]
        parts.append(decode(model, prefill(model, prompts[first:last]), group, sampling, numbers))
    return parts[0] if len(parts) == 1 else _one_after_another(parts)


def _portions(prompts: int, group: int, most_rows: int | None) -> list[tuple[int, int, int]]:
    """(first prompt, prompt after the last, completions of each) of at most `most_rows` rows, in row order."""
    most = prompts * group if most_rows is None else most_rows
    if most >= group:
        size = most // group
        return [(p, min(p + size, prompts), group) for p in range(0, prompts, size)]
    return [(p, p + 1, min(most, group - g)) for p in range(prompts) for g in range(0, group, most)]


def _one_after_another(parts: Sequence[Completions]) -> Completions:
    longest = max(part.tokens.shape[1] for part in parts)
    tokens, mask, logp = (
        torch.cat([F.pad(values, (0, longest - values.shape[1])) for values in kind])
        for kind in zip(*((part.tokens, part.mask, part.logp) for part in parts), strict=True)
    )
    return Completions(tokens, mask, logp, torch.cat([part.ended for part in parts]))


@torch.no_grad()
def last_logits(model: AudioLM, prompts: Sequence[Tensor]) -> Tensor:
    """[P, V]: what the model would say first."""
    return model.logits(prefill(model, prompts).hidden)


def completion_texts(model: AudioLM, completions: Completions) -> list[str]:
    """Decoded rows, without the end-of-sequence token."""
    rows = zip(completions.tokens.tolist(), completions.lengths.tolist(), strict=True)
    return [model.decode(tokens[:length]) for tokens, length in rows]


def prefill(model: AudioLM, prompts: Sequence[Tensor]) -> Prefilled:
    """P embedded prompts, [T, H] each, through the model once, left-padded; with gradients where these are enabled."""
    lengths = [prompt.shape[0] for prompt in prompts]
    longest, device = max(lengths), prompts[0].device
    padded = min(lengths) < longest
    embeddings = pad_sequence(list(prompts), batch_first=True, padding_side="left")
    index = torch.arange(longest, device=device)
    padding = longest - torch.tensor(lengths, device=device)[:, None]
    keys = index >= padding
    positions = (index - padding).clamp(min=0)
    mask = None
    if padded:
        itself = torch.eye(longest, dtype=torch.bool, device=device)  # padding attends to itself: no empty softmax
        mask = ((index[:, None] >= index) & keys[:, None] | itself)[:, None]
    cache = model.new_cache()
    with _evaluating(model):
        hidden = model.hidden(embeddings, positions, mask, cache, read=longest * torch.arange(1, len(prompts) + 1) - 1)
    if cache.get_seq_length() != longest:
        raise RuntimeError(f"the cache holds {cache.get_seq_length()} of {longest} prompt tokens after prefill")
    return Prefilled(hidden[:, -1], cache, keys, padded)


@torch.no_grad()
def decode(
    model: AudioLM, prefilled: Prefilled, completions_per_prompt: int, sampling: Sampling, uniforms: Tensor | None
) -> Completions:
    """As `rollout`, from prompts that are computed already; branches and extends their cache in place."""
    with _evaluating(model):
        return _decode(model, prefilled, completions_per_prompt, sampling, uniforms)


@contextlib.contextmanager
def _evaluating(model: AudioLM) -> Iterator[None]:
    """Gradient checkpointing in train mode would drop the cache without an error."""
    was_training = model.module.training
    model.module.eval()
    try:
        yield
    finally:
        model.module.train(was_training)


def _decode(
    model: AudioLM, prefilled: Prefilled, group: int, sampling: Sampling, uniforms: Tensor | None
) -> Completions:
    n_rows, device = prefilled.hidden.shape[0] * group, prefilled.hidden.device
    hidden = prefilled.hidden.repeat_interleave(group, 0)
    rows: GrowingRows | FixedRows
    if sampling.cuda_graph:
        rows = FixedRows(model, prefilled.cache, prefilled.keys, group, sampling.max_completion_tokens)
    else:
        rows = GrowingRows(model, prefilled.cache, prefilled.keys, prefilled.padded, group)
    eos = torch.tensor(model.eos_token_ids, device=device)
    tokens = torch.zeros(n_rows, sampling.max_completion_tokens, dtype=torch.long, device=device)
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    logp = torch.zeros(
        tokens.shape, dtype=torch.float64 if hidden.dtype == torch.float64 else torch.float32, device=device
    )
    ended = torch.zeros(n_rows, dtype=torch.bool, device=device)
    active = torch.arange(n_rows, device=device)
    numbers = None if uniforms is None else uniforms.to(device)
    for t in range(sampling.max_completion_tokens):
        logits = model.logits(hidden)
        drawn = _choose(logits, sampling, None if numbers is None else numbers[active, t])
        tokens[active, t], mask[active, t] = drawn, True
        logp[active, t] = torch.log_softmax(logits, -1).gather(-1, drawn[:, None])[:, 0]
        alive = ~torch.isin(drawn, eos)
        ended[active] = ~alive
        left = 0 if t + 1 == sampling.max_completion_tokens else int(alive.sum())  # the host waits for a GPU here
        if left == 0:
            break
        if left < len(active):
            kept = alive.nonzero()[:, 0]
            rows.keep(kept)
            active, drawn = active[kept], drawn[kept]
        hidden = rows.advance(drawn)
    longest = int(mask.any(0).sum())
    return Completions(tokens[:, :longest], mask[:, :longest], logp[:, :longest], ended)


def _choose(logits: Tensor, sampling: Sampling, uniforms: Tensor | None) -> Tensor:
    if sampling.temperature == 0:
        return logits.argmax(-1)
    assert uniforms is not None
    return inverse_cdf(filter_logits(logits, sampling.temperature, sampling.top_p, sampling.top_k), uniforms)
