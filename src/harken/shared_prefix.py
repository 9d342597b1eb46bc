"""Log-probabilities of G completions of a prompt, with the prompt computed once.

Takes embedded prompts and their completions, gives the log-probability and the entropy at every completion token,
with gradients. The packed row is [prompt | c1 | ... | cG]: the positions of each completion restart after the prompt
and a mask lets it see the prompt and itself. The first token of every completion is predicted by the prompt's last
position. Not taken: completions against a cache that carries gradients, which copies the prompt's keys and values G
times and which gradient checkpointing silently empties.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from harken.models.base import AudioLM, ModelInput
from harken.rollout import Completions


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
    group = completions.tokens.shape[0] // len(prompts)
    lengths = completions.lengths.tolist()
    # The last token of a completion predicts nothing that is scored, so it is not fed.
    fed = [model.embed_tokens(completions.tokens[r, : n - 1]) for r, n in enumerate(lengths)]
    rows, positions, segments, predictors = [], [], [], []
    for p, prompt in enumerate(prompts):
        own = range(p * group, (p + 1) * group)
        rows.append(torch.cat([prompt, *(fed[r] for r in own)]))
        positions.append(_positions(prompt.shape[0], [lengths[r] - 1 for r in own]))
        segments.append(_segments(prompt.shape[0], [lengths[r] - 1 for r in own]))
        predictors.append(_predictors(prompt.shape[0], [lengths[r] for r in own]))
    device = prompts[0].device
    embeddings = pad_sequence(rows, batch_first=True)
    segment = pad_sequence(segments, batch_first=True, padding_value=-1).to(device)
    hidden = model.hidden(embeddings, pad_sequence(positions, batch_first=True).to(device), _mask(segment)[:, None])
    width = embeddings.shape[1]
    flat = torch.cat([p * width + predictor for p, predictor in enumerate(predictors)]).to(device)
    return _score(model, hidden.flatten(0, 1)[flat], completions, temperature)


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
    is kept of a token is its hidden state and not a number for every word.
    """
    targets = completions.tokens[completions.mask]
    if len(targets) <= LOGIT_ROWS:
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
    logits = model.logits(hidden) / temperature
    logp = -F.cross_entropy(logits, targets, reduction="none")
    with torch.no_grad():
        log_probabilities = torch.log_softmax(logits, -1)
        entropy = -(log_probabilities.exp() * log_probabilities).sum(-1)
    return logp, entropy
