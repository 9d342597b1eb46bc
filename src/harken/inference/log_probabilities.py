"""Log-probabilities and entropies of completions under a model, with gradients, for the policy and reference passes.

`score_packed` computes each prompt once, in one row with all its completions. `score_continued` takes prompts that are
prefilled already and computes the completions alone; it keeps the prompts' activations in memory while completions are
sampled, and it does not work with gradient checkpointing, which empties a cache without an error. `score_repeated` is
the plain form that the others are checked against.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from harken.inference.completions import Completions
from harken.inference.packed_rows import (
    attention_of,
    distinct_completions,
    flat_predictors,
    lay_out,
    lay_out_after,
    pad_layouts,
    segment_mask,
)
from harken.inference.prefill import PrefilledPrompts
from harken.models.audio_lm import AudioLM, ModelInput


@dataclass(frozen=True, eq=False, slots=True)
class Scores:
    """logp: [R, L] with gradients. entropy: [R, L] without. Both are 0 where the completion is masked."""

    logp: Tensor
    entropy: Tensor

    def rows(self, index: Tensor) -> "Scores":
        """The rows that `index` selects. A row that is selected several times gets the sum of their gradients."""
        return Scores(self.logp[index], self.entropy[index])


def score_packed(
    model: AudioLM, prompts: Sequence[Tensor], completions: Completions, temperature: float = 1.0
) -> Scores:
    """Score R = P * G completions in P rows [prompt | c1 | ... | cG].

    Args:
        prompts: P embedded prompts, [T, H] each.
        temperature: divides the logits; 1 = the policy itself.
    """
    distinct = distinct_completions(completions, len(prompts))
    embedded, lengths = _embed_completions(model, distinct.completions)
    rows, shapes = [], []
    for prompt, group in zip(prompts, distinct.groups, strict=True):
        rows.append(torch.cat([prompt, *(embedded[r] for r in group)]))
        shapes.append((prompt.shape[0], [lengths[r] for r in group]))
    embeddings = pad_sequence(rows, batch_first=True)
    layouts = [lay_out(*shape) for shape in shapes]
    positions, segments = pad_layouts(layouts, embeddings.device)
    places = flat_predictors(layouts, embeddings.shape[1])
    attention = attention_of(shapes, segments, embeddings)
    hidden = model.hidden(embeddings, positions, attention, read=places)
    return _score(model, _select(hidden, places), distinct.completions, temperature).rows(distinct.row_of)


def score_continued(
    model: AudioLM, prompts: PrefilledPrompts, completions: Completions, temperature: float = 1.0
) -> Scores:
    """Score R = P * G completions of P prompts that were computed already. Gradients reach the prompts where these
    carry a graph, which serves one backward pass. `prompts` is not changed.

    The completions of a prompt are one row [c1 | ... | cG] that attends to the prompt's keys and values. Where the
    completions are long, each is a row of its own with its own copy of these keys and values: attention between
    completions, which is computed and then masked, would cost more than the copies.
    """
    prompt_lengths = prompts.mask.sum(1).tolist()
    distinct = distinct_completions(completions, len(prompt_lengths))
    embedded, lengths = _embed_completions(model, distinct.completions)
    cache, groups, owners = prompts.copy().cache, distinct.groups, list(range(len(prompt_lengths)))
    if _are_long(completions, sum(prompt_lengths)):
        owners = [p for p, group in enumerate(groups) for _ in group]
        groups = [[r] for group in groups for r in group]
        cache.batch_select_indices(torch.tensor(owners, device=prompts.mask.device))
    layouts = [
        lay_out_after(prompt_lengths[p], [lengths[r] for r in group]) for p, group in zip(owners, groups, strict=True)
    ]
    embeddings = pad_sequence([torch.cat([embedded[r] for r in group]) for group in groups], batch_first=True)
    hidden = prompts.last_hidden[owners, None]
    if embeddings.shape[1] > 0:  # where every completion is one token, the prompts predict them all
        positions, segments = pad_layouts(layouts, embeddings.device)
        to_prompt = prompts.mask[owners, None].expand(-1, embeddings.shape[1], -1)
        attention = torch.cat([to_prompt, segment_mask(segments)], 2)[:, None]
        hidden = torch.cat([hidden, model.hidden(embeddings, positions, attention, cache)], 1)
    places = flat_predictors(layouts, hidden.shape[1])
    return _score(model, _select(hidden, places), distinct.completions, temperature).rows(distinct.row_of)


def score_repeated(
    model: AudioLM, inputs: Sequence[ModelInput], completions: Completions, temperature: float = 1.0
) -> Scores:
    """Score in the plain form, to check the others: R rows, each with its own prompt and its audio encoded again."""
    group = completions.tokens.shape[0] // len(inputs)
    repeated = [prompt for prompt in inputs for _ in range(group)]
    prompts = model.embed(repeated, model.encode_audio(repeated))
    lengths = completions.lengths.tolist()
    rows = [
        torch.cat([prompt, model.embed_tokens(completions.tokens[r, : lengths[r]])]) for r, prompt in enumerate(prompts)
    ]
    embeddings = pad_sequence(rows, batch_first=True)
    width = embeddings.shape[1]
    positions = torch.arange(width, device=embeddings.device)
    causal = (positions[:, None] >= positions).expand(len(rows), 1, -1, -1)
    hidden = model.hidden(embeddings, positions.expand(len(rows), -1), causal)
    predictors = [hidden[r, prompt.shape[0] - 1 :][: lengths[r]] for r, prompt in enumerate(prompts)]
    return _score(model, torch.cat(predictors), completions, temperature)


def _are_long(completions: Completions, prompt_tokens: int) -> bool:
    """Whether the completions have more than half as many tokens as their prompts. At about half, both forms cost the
    same."""
    return 2 * int(completions.mask.sum()) > prompt_tokens


def _embed_completions(model: AudioLM, completions: Completions) -> tuple[list[Tensor], list[int]]:
    """For each completion of n tokens: the embeddings of its first n - 1 tokens, [n - 1, H], and n. The last token
    predicts nothing that is scored."""
    lengths = completions.lengths.tolist()
    embedded = model.embed_tokens(completions.tokens)
    return [row[: n - 1] for row, n in zip(embedded, lengths, strict=True)], lengths


def _select(hidden: Tensor, places: Tensor) -> Tensor:
    """[B, W, H] -> [N, H]: the hidden states at places of the flattened [B * W]."""
    return hidden.flatten(0, 1)[places.to(hidden.device)]


def _score(model: AudioLM, hidden: Tensor, completions: Completions, temperature: float) -> Scores:
    """Scores from hidden states [N, H], one for each unmasked completion token in row order."""
    logp, entropy = model.token_scores(hidden, completions.tokens[completions.mask], temperature)
    zeros = torch.zeros(completions.mask.shape, dtype=logp.dtype, device=logp.device)
    return Scores(zeros.masked_scatter(completions.mask, logp), zeros.masked_scatter(completions.mask, entropy))
