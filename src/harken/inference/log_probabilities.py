"""Log-probabilities of G completions of a prompt, with the prompt computed once.

Takes embedded prompts and their completions, gives the log-probability and the entropy at every completion token, with
gradients. The packed row is [prompt | c1 | ... | cG]: the positions of each completion restart after the prompt and a
mask lets it see the prompt and itself. What is said several times in a group is scored once. The first token of every
completion is predicted by the prompt's last position. `score_continued` takes the prompts as the rollout computed them,
with their graph, and computes the completions alone; it holds the prompts' activations while sampling and goes without
gradient checkpointing, which silently empties a cache. Not taken: one form for all lengths; measured in
docs/performance.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from harken.inference.decode import Completions, Prefilled, prefill
from harken.models.base import AudioLM, ModelInput
from harken.models.sharding import is_sharded


@dataclass(frozen=True, eq=False, slots=True)
class Scores:
    """logp [R, L] with gradients, entropy [R, L] without; both 0 where the completion is masked."""

    logp: Tensor
    entropy: Tensor


def score_packed(
    model: AudioLM, prompts: Sequence[Tensor], completions: Completions, temperature: float = 1.0
) -> Scores:
    """Score R = P * G completions in P rows.

    Args:
        prompts: P embedded prompts, [T, H] each.
        temperature: divides the logits; 1 = the untempered policy.
    """
    groups, same = _said_once(completions, len(prompts))
    once = _rows(completions, groups)
    fed, lengths = _fed(model, once, groups)
    rows, positions, segments, predictors = [], [], [], []
    for prompt, tokens, own in zip(prompts, fed, lengths, strict=True):
        rows.append(torch.cat([prompt, *tokens]))
        positions.append(_positions(prompt.shape[0], [n - 1 for n in own]))
        segments.append(_segments(prompt.shape[0], [n - 1 for n in own]))
        predictors.append(_predictors(prompt.shape[0], own))
    device = prompts[0].device
    embeddings = pad_sequence(rows, batch_first=True)
    segment = pad_sequence(segments, batch_first=True, padding_value=-1).to(device)
    position, places = pad_sequence(positions, batch_first=True).to(device), _places(predictors, embeddings.shape[1])
    hidden = model.hidden(embeddings, position, _mask(segment)[:, None], read=places)
    return _of_all_rows(_score(model, _at(hidden, places), once, temperature), same)


def score_continued(model: AudioLM, prefilled: Prefilled, completions: Completions, temperature: float = 1.0) -> Scores:
    """The same from prompts that were computed already, with gradients into them where they have a graph, which serves
    one backward pass. `prefilled` stays as it is.

    The completions of a prompt are one row [c1 | ... | cG] that attends to the prompt's keys and values; where they are
    long together, each is a row of its own against a copy of these: attention between completions, computed and masked
    out, would then cost more than copying.
    """
    device = prefilled.hidden.device
    groups, same = _said_once(completions, len(prefilled.keys))
    once = _rows(completions, groups)
    fed, lengths = _fed(model, once, groups)
    kept, longest = prefilled.copy(), prefilled.keys.sum(1).tolist()
    owners = list(range(len(groups)))
    if are_long(completions, sum(longest)):
        owners = [p for p, own in enumerate(groups) for _ in own]
        fed = [[tokens] for own in fed for tokens in own]
        lengths = [[n] for own in lengths for n in own]
        kept.cache.batch_select_indices(torch.tensor(owners, device=device))
    rows, positions, segments, predictors = [], [], [], []
    for p, tokens, own in zip(owners, fed, lengths, strict=True):
        rows.append(torch.cat(tokens))
        positions.append(_positions(longest[p], [n - 1 for n in own])[longest[p] :])
        segments.append(_segments(0, [n - 1 for n in own]))
        predictors.append(_predictors(1, own))
    hidden = prefilled.hidden[owners, None]
    embeddings = pad_sequence(rows, batch_first=True)
    if embeddings.shape[1] > 0:  # not where every completion is one token, which the prompts predict
        segment = pad_sequence(segments, batch_first=True, padding_value=-1).to(device)
        keys = prefilled.keys[owners, None].expand(-1, embeddings.shape[1], -1)
        mask = torch.cat([keys, _mask(segment)], 2)[:, None]
        position = pad_sequence(positions, batch_first=True).to(device)
        hidden = torch.cat([hidden, model.hidden(embeddings, position, mask, kept.cache)], 1)
    return _of_all_rows(_score(model, _at(hidden, _places(predictors, hidden.shape[1])), once, temperature), same)


def score_shared(
    model: AudioLM, prompts: Sequence[Tensor], completions: Completions, temperature: float = 1.0
) -> Scores:
    """The same by whichever form is the cheaper for these lengths. Not for gradient checkpointing in train mode."""
    if are_long(completions, sum(len(prompt) for prompt in prompts)):
        return score_continued(model, prefill(model, prompts), completions, temperature)
    return score_packed(model, prompts, completions, temperature)


def are_long(completions: Completions, prompt_tokens: int) -> bool:
    """Whether completions have more than half as many tokens as their prompts: about where the forms cost the same."""
    return 2 * int(completions.mask.sum()) > prompt_tokens


def score_repeated(
    model: AudioLM, inputs: Sequence[ModelInput], completions: Completions, temperature: float = 1.0
) -> Scores:
    """The same the plain way: R rows, each with its own prompt, its audio encoded again. For checking."""
    group = completions.tokens.shape[0] // len(inputs)
    repeated = [one for one in inputs for _ in range(group)]
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
    wanted = [hidden[r, prompt.shape[0] - 1 : prompt.shape[0] - 1 + lengths[r]] for r, prompt in enumerate(prompts)]
    return _score(model, torch.cat(wanted), completions, temperature)


def _said_once(completions: Completions, prompts: int) -> tuple[list[list[int]], Tensor]:
    """The rows of each prompt without repetitions, and for every row [R] the place of its like among those."""
    group = completions.tokens.shape[0] // prompts
    lengths = completions.lengths.tolist()
    said = [tuple(tokens[:n]) for tokens, n in zip(completions.tokens.tolist(), lengths, strict=True)]
    groups, same, places = [], [], 0
    for start in range(0, len(said), group):
        own, place_of = [], {}
        for r in range(start, start + group):
            if said[r] not in place_of:
                place_of[said[r]] = places + len(own)
                own.append(r)
            same.append(place_of[said[r]])
        groups.append(own)
        places += len(own)
    return groups, torch.tensor(same, device=completions.tokens.device)


def _rows(completions: Completions, groups: Sequence[Sequence[int]]) -> Completions:
    kept = torch.tensor([r for own in groups for r in own], device=completions.tokens.device)
    return Completions(
        completions.tokens[kept], completions.mask[kept], completions.logp[kept], completions.ended[kept]
    )


def _fed(
    model: AudioLM, completions: Completions, groups: Sequence[Sequence[int]]
) -> tuple[list[list[Tensor]], list[list[int]]]:
    """Embedded tokens and lengths of the completions of each group. The last token of a completion predicts nothing
    that is scored, so it is not fed."""
    lengths = iter(completions.lengths.tolist())
    tokens = iter(model.embed_tokens(completions.tokens))
    of_groups = [[next(lengths) for _ in own] for own in groups]
    return [[next(tokens)[: n - 1] for n in own] for own in of_groups], of_groups


def _of_all_rows(scores: Scores, same: Tensor) -> Scores:
    """What was said several times gets its weight here: the gradients of equal rows add up."""
    return Scores(scores.logp[same], scores.entropy[same])


def _places(in_rows: Sequence[Tensor], width: int) -> Tensor:
    """For each of B rows places in it -> [N] places in the flattened [B * W], one row after another."""
    return torch.cat([b * width + own for b, own in enumerate(in_rows)])


def _at(hidden: Tensor, places: Tensor) -> Tensor:
    """[B, W, H] -> [N, H]."""
    return hidden.flatten(0, 1)[places.to(hidden.device)]


def _positions(prompt: int, fed: Sequence[int]) -> Tensor:
    return torch.cat([torch.arange(prompt), *(torch.arange(prompt, prompt + n) for n in fed)])


def _segments(prompt: int, fed: Sequence[int]) -> Tensor:
    """0 for the prompt, 1..G for the completions."""
    return torch.repeat_interleave(torch.arange(len(fed) + 1), torch.tensor([prompt, *fed]))


def _predictors(prompt: int, lengths: Sequence[int]) -> Tensor:
    """Index in the row of the position that predicts each completion token, completions one after another."""
    pieces, start = [], prompt
    for n in lengths:
        pieces += [torch.tensor([prompt - 1]), torch.arange(start, start + n - 1)]
        start += n - 1
    return torch.cat(pieces)


def _mask(segment: Tensor) -> Tensor:
    """[B, W] segments -> [B, W, W] bool: earlier, and in the prompt or in the same segment."""
    index = torch.arange(segment.shape[1], device=segment.device)
    keys, queries = segment[:, None, :], segment[:, :, None]
    return (index[:, None] >= index) & ((keys == 0) | (keys == queries))


LOGIT_ROWS = 512
"""Rows of logits at once: with a vocabulary of 152,064 in float32 0.3 GB, and about four times that on the way."""


def _score(model: AudioLM, hidden: Tensor, completions: Completions, temperature: float) -> Scores:
    """hidden [N, H], one row per unmasked completion token in row order.

    Beyond `LOGIT_ROWS` rows the logits of one piece after another are made, and made again in the backward pass: what
    is kept of a token is its hidden state and not a number for every word. Not of a model in parts on several ranks:
    the head's gradients would travel once for each piece, and ranks may have different numbers of them.
    """
    targets = completions.tokens[completions.mask]
    if len(targets) <= LOGIT_ROWS or is_sharded(model):
        logp, entropy = _score_rows(model, hidden, targets, temperature)
    else:
        pieces = [
            checkpoint(_score_rows, model, *piece, temperature, use_reentrant=False, preserve_rng_state=False)
            for piece in zip(hidden.split(LOGIT_ROWS), targets.split(LOGIT_ROWS), strict=True)
        ]
        logp, entropy = (torch.cat(values) for values in zip(*pieces, strict=True))
    empty = torch.zeros(completions.mask.shape, dtype=logp.dtype, device=logp.device)
    return Scores(empty.masked_scatter(completions.mask, logp), empty.masked_scatter(completions.mask, entropy))


def _score_rows(model: AudioLM, hidden: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probability of each target, entropy of each row: [N] each."""
    log_probabilities = torch.log_softmax(model.logits(hidden) / temperature, -1)
    logp = log_probabilities.gather(-1, targets[:, None])[:, 0]
    with torch.no_grad():
        entropy = -(log_probabilities.exp() * log_probabilities).sum(-1)
    return logp, entropy
