"""The completions of a batch of prompts: their tokens, lengths and texts.

Decoding returns `Completions`, scoring takes them. Known answers, as in supervised fine-tuning, are put into the same
form by `as_completions`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from harken.models.audio_lm import AudioLM


@dataclass(frozen=True, eq=False, slots=True)
class Completions:
    """R completions: G for each of P prompts. Row r is completion r % G of prompt r // G.

    Attributes:
        tokens: [R, L] int64, right-padded with 0.
        mask: [R, L] bool, True up to and including the end-of-sequence token.
        logp: [R, L] log-probabilities of the tokens when they were sampled, at temperature 1; 0 where masked.
        ended: [R] bool, False where the completion was cut at the maximum length.
    """

    tokens: Tensor
    mask: Tensor
    logp: Tensor
    ended: Tensor

    @property
    def lengths(self) -> Tensor:
        """[R] int64: tokens of each completion, the end-of-sequence token included."""
        return self.mask.sum(1)

    def cut(self, length: int) -> "Completions":
        """The first `length` tokens of every row."""
        return Completions(self.tokens[:, :length], self.mask[:, :length], self.logp[:, :length], self.ended)

    def rows(self, index: Tensor | slice) -> "Completions":
        """The rows that `index` selects, in its order."""
        return Completions(self.tokens[index], self.mask[index], self.logp[index], self.ended[index])


def as_completions(answers: Sequence[Tensor], device: torch.device) -> Completions:
    """Known answers in the form of sampled completions, with log-probabilities of 0.

    Args:
        answers: the tokens of each, [L] int64, their end-of-sequence token included.
    """
    tokens = pad_sequence(list(answers), batch_first=True).to(device)
    lengths = torch.tensor([len(answer) for answer in answers], device=device)
    mask = torch.arange(tokens.shape[1], device=device) < lengths[:, None]
    logp = torch.zeros(tokens.shape, device=device)
    return Completions(tokens, mask, logp, torch.ones_like(lengths, dtype=torch.bool))


def concatenate(parts: Sequence[Completions]) -> Completions:
    """The rows of all parts, padded to the longest."""
    return Completions(
        padded([part.tokens for part in parts]),
        padded([part.mask for part in parts]),
        padded([part.logp for part in parts]),
        torch.cat([part.ended for part in parts]),
    )


def padded(parts: Sequence[Tensor]) -> Tensor:
    """The rows of all parts, [R, L] each, with zeros behind those that are shorter than the longest."""
    longest = max(part.shape[1] for part in parts)
    return torch.cat([F.pad(part, (0, longest - part.shape[1])) for part in parts])


def completion_texts(model: AudioLM, completions: Completions) -> list[str]:
    """R texts, without the end-of-sequence token."""
    rows = zip(completions.tokens.tolist(), completions.lengths.tolist(), strict=True)
    return [model.decode(tokens[:length]) for tokens, length in rows]
