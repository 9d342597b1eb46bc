"""The layout of rows that hold several completions of one prompt: [prompt | c1 | ... | cG].

The positions of each completion continue after the prompt, and an attention mask lets it see the prompt and itself
alone. `log_probabilities` computes such rows; completions that are equal within a group are computed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from harken.inference.completions import Completions
from harken.models.shared_prefix import SharedPrefix, shared_prefix

PAIRS_FOR_TWO_PARTS = 1.25
"""Attention is computed in two parts where the mask over whole rows has so many times the pairs of positions. Two parts
take more kernels and copy the prompt's keys and values for each completion."""


@dataclass(frozen=True, eq=False, slots=True)
class DistinctCompletions:
    """The completions of P prompts, with each repetition inside a group removed.

    Attributes:
        completions: D distinct rows.
        groups: for each prompt, the indices of its rows among the D.
        row_of: [R], for each original row the index of the equal one among the D.
    """

    completions: Completions
    groups: list[list[int]]
    row_of: Tensor


def distinct_completions(completions: Completions, prompts: int) -> DistinctCompletions:
    """Find the completions that are equal to another of the same prompt."""
    group = completions.tokens.shape[0] // prompts
    kept, groups, row_of = [], [], []
    padded_rows, lengths = completions.tokens.tolist(), completions.lengths.tolist()
    for first in range(0, len(padded_rows), group):
        index_of: dict[tuple[int, ...], int] = {}
        for r in range(first, first + group):
            tokens = tuple(padded_rows[r][: lengths[r]])
            if tokens not in index_of:
                index_of[tokens] = len(kept)
                kept.append(r)
            row_of.append(index_of[tokens])
        groups.append(list(index_of.values()))
    device = completions.tokens.device
    rows = completions.rows(torch.tensor(kept, device=device))
    return DistinctCompletions(rows, groups, torch.tensor(row_of, device=device))


@dataclass(frozen=True, eq=False, slots=True)
class RowLayout:
    """Where a prompt and its completions lie in one row. The last token of a completion predicts nothing that is
    scored, so a completion of n tokens takes n - 1 places.

    Attributes:
        positions: [W] position ids.
        segments: [W], 0 for the prompt, g for the g-th completion.
        predictors: [sum of lengths], the place in the row whose hidden state predicts each completion token.
    """

    positions: Tensor
    segments: Tensor
    predictors: Tensor


def lay_out(prompt_tokens: int, lengths: Sequence[int]) -> RowLayout:
    """The row [prompt | c1 | ... | cG] of a prompt and G completions of these lengths."""
    places = [n - 1 for n in lengths]
    positions = [torch.arange(prompt_tokens), *(torch.arange(prompt_tokens, prompt_tokens + n) for n in places)]
    segments = torch.repeat_interleave(torch.arange(len(places) + 1), torch.tensor([prompt_tokens, *places]))
    predictors, start = [], prompt_tokens
    for n in places:
        predictors += [torch.tensor([prompt_tokens - 1]), torch.arange(start, start + n)]
        start += n
    return RowLayout(torch.cat(positions), segments, torch.cat(predictors))


def lay_out_after(prompt_tokens: int, lengths: Sequence[int]) -> RowLayout:
    """The row [c1 | ... | cG] alone, where the prompt is in a cache. Predictors count the prompt's last token as
    place 0."""
    row = lay_out(prompt_tokens, lengths)
    first = prompt_tokens - 1
    return RowLayout(row.positions[prompt_tokens:], row.segments[prompt_tokens:], row.predictors - first)


def pad_layouts(rows: Sequence[RowLayout], device: torch.device) -> tuple[Tensor, Tensor]:
    """B rows padded to one width -> positions and segments, [B, W] each; the segment of padding is -1."""
    positions = pad_sequence([row.positions for row in rows], batch_first=True)
    segments = pad_sequence([row.segments for row in rows], batch_first=True, padding_value=-1)
    return positions.to(device), segments.to(device)


def attention_of(
    shapes: Sequence[tuple[int, Sequence[int]]], segments: Tensor, embeddings: Tensor
) -> Tensor | SharedPrefix:
    """The attention of packed rows: in two parts where that saves enough pairs of positions, with a mask otherwise.

    Args:
        shapes: the arguments of `lay_out` for each row.
        segments: [B, W].
        embeddings: [B, W, H].
    """
    parts = [(prompt, [n - 1 for n in lengths]) for prompt, lengths in shapes]
    if takes_two_parts(parts, segments.shape[1]):
        return shared_prefix(parts, embeddings)
    return segment_mask(segments)[:, None]


def takes_two_parts(parts: Sequence[tuple[int, Sequence[int]]], width: int) -> bool:
    """Whether rows of this width, each with the tokens of its prompt and the places of its completions, have so many
    pairs of positions that attention is computed in two parts."""
    needed = sum(prompt**2 + len(own) * max(own) * (prompt + max(own)) for prompt, own in parts)
    return len(parts) * width**2 > PAIRS_FOR_TWO_PARTS * needed


def segment_mask(segments: Tensor) -> Tensor:
    """[B, W] segments, -1 where padded -> [B, W, W] bool: True for earlier places of the prompt or the same segment."""
    index = torch.arange(segments.shape[1], device=segments.device)
    keys, queries = segments[:, None, :], segments[:, :, None]
    return (index[:, None] >= index) & ((keys == 0) | (keys == queries))


def flat_predictors(rows: Sequence[RowLayout], width: int) -> Tensor:
    """[N] the predictors of B rows as places in the flattened [B * width]."""
    return torch.cat([b * width + row.predictors for b, row in enumerate(rows)])
