"""Token-by-token decoding of completions from prompts that are prefilled already.

`rollout` calls it for a whole batch; GRPO with `policy_pass: continued` calls it directly, to keep the prefilled
prompts for scoring. Launching the kernels of a token must not wait for those of the token before. So the host reads
from the device only once in several tokens, to learn which rows have ended; until then they are computed further, and
what they would say is masked.
"""

import torch
from torch import Tensor

from harken.inference.completions import Completions
from harken.inference.kv_cache_fixed import FixedCacheDecoder
from harken.inference.kv_cache_growing import GrowingCacheDecoder
from harken.inference.prefill import PrefilledPrompts, evaluation_mode
from harken.inference.sampling import Sampling, choose_tokens
from harken.models.audio_lm import AudioLM
from harken.system.stop_signals import abandon_if_stopping

STOP_CHECK_EVERY = 8
"""Tokens between two looks at which rows have ended, on a GPU."""
LOGIT_ROWS = 256
"""Rows whose logits are computed and drawn from at once: 156 MB in float32 for a vocabulary of 152,064."""


@torch.no_grad()
def decode(
    model: AudioLM,
    prompts: PrefilledPrompts,
    completions_per_prompt: int,
    sampling: Sampling,
    uniforms: Tensor | None,
    decoder: FixedCacheDecoder | None = None,
) -> Completions:
    """Sample G completions for each of P prompts. The prompts' cache is used up.

    Args:
        uniforms: [P * G, max_completion_tokens] float64 in [0, 1), one per token; None for greedy.
        decoder: one that earlier batches were decoded with, whose recorded graph is used again; with
            `sampling.cuda_graph` alone.

    Raises ValueError where sampled logits have NaN, +inf or no finite value: the policy has diverged.
    """
    with evaluation_mode(model):
        return _decode(model, prompts, completions_per_prompt, sampling, uniforms, decoder)


def _decode(
    model: AudioLM,
    prompts: PrefilledPrompts,
    group: int,
    sampling: Sampling,
    uniforms: Tensor | None,
    fixed: FixedCacheDecoder | None,
) -> Completions:
    hidden = prompts.last_hidden.repeat_interleave(group, 0)
    decoder = _decoder(model, prompts, group, sampling, fixed)
    rows = _Rows(hidden, sampling.max_completion_tokens)
    end_tokens = torch.tensor(model.eos_token_ids, device=hidden.device)
    numbers = None if uniforms is None else uniforms.to(hidden.device)
    check_every = sampling.stop_check_every or (1 if hidden.device.type == "cpu" else STOP_CHECK_EVERY)
    for t in range(sampling.max_completion_tokens):
        drawn, logp = _draw(model, hidden, sampling, None if numbers is None else numbers[:, t])
        rows.add(drawn, logp, end_tokens)
        if t + 1 == sampling.max_completion_tokens:
            break
        drawn = drawn.clamp(min=0)  # a diverged row is reported at the next check
        if (t + 1) % check_every == 0:
            abandon_if_stopping()
            alive = rows.write()  # the host waits for a GPU here
            if alive == 0:
                break
            if alive < len(drawn):
                kept = rows.keep_alive(alive)
                decoder.keep_rows(kept)
                drawn = drawn[kept]
                numbers = None if numbers is None else numbers[kept]
        hidden = decoder.next_hidden(drawn)
    rows.write()
    completions = rows.completions
    return completions.cut(int(completions.mask.any(0).sum()))


class _Rows:
    """The rows that are decoded, and what they have said so far.

    Args:
        hidden: [R, H], of the rows' prompts.
        longest: most tokens of a row.
    """

    def __init__(self, hidden: Tensor, longest: int) -> None:
        self.completions = _empty_completions(hidden, longest)
        self._active = torch.arange(len(hidden), device=hidden.device)  # rows that had not ended at the last check
        self._alive = torch.ones_like(self._active, dtype=torch.bool)
        self._pending: list[tuple[Tensor, Tensor, Tensor]] = []
        self._written = 0

    def add(self, drawn: Tensor, logp: Tensor, end_tokens: Tensor) -> None:
        """The next token of each active row. Nothing waits."""
        self._pending.append((drawn, self._alive, logp))
        self._alive = self._alive & (drawn[:, None] != end_tokens).all(-1)

    def write(self) -> int:
        """Put the tokens since the last check into the completions. Returns how many rows go on.

        Raises ValueError where the policy has diverged.
        """
        if not self._pending:
            return len(self._active)
        tokens, mask, logp = (torch.stack(parts, 1) for parts in zip(*self._pending, strict=True))
        columns = slice(self._written, self._written + len(self._pending))
        self.completions.tokens[self._active, columns] = tokens.where(mask, 0)
        self.completions.mask[self._active, columns] = mask
        self.completions.logp[self._active, columns] = logp.where(mask, 0.0)
        self.completions.ended[self._active] = ~self._alive
        self._written, self._pending = columns.stop, []
        alive, diverged = torch.stack([self._alive.sum(), ((tokens < 0) & mask).sum()]).tolist()
        if diverged:
            raise ValueError("logits hold NaN, +inf or a row without a finite value: the policy has diverged")
        return alive

    def keep_alive(self, n: int) -> Tensor:
        """Go on with the `n` rows that are alive alone. Returns their indices among the active rows."""
        kept = self._alive.to(torch.uint8).argsort(descending=True, stable=True)[:n]
        self._active, self._alive = self._active[kept], self._alive[kept]
        return kept


def _draw(model: AudioLM, hidden: Tensor, sampling: Sampling, numbers: Tensor | None) -> tuple[Tensor, Tensor]:
    """[R, H] -> the next tokens [R] and their log-probabilities at temperature 1 [R]."""
    parts = []
    for first in range(0, len(hidden), LOGIT_ROWS):
        own = slice(first, first + LOGIT_ROWS)
        logits = model.logits(hidden[own])
        drawn = choose_tokens(logits, sampling, None if numbers is None else numbers[own])
        chosen = logits.gather(-1, drawn.clamp(min=0)[:, None])[:, 0]
        parts.append((drawn, chosen - logits.logsumexp(-1)))
    drawn, logp = zip(*parts, strict=True)
    return (drawn[0], logp[0]) if len(parts) == 1 else (torch.cat(drawn), torch.cat(logp))


def _decoder(
    model: AudioLM, prompts: PrefilledPrompts, group: int, sampling: Sampling, fixed: FixedCacheDecoder | None
) -> GrowingCacheDecoder | FixedCacheDecoder:
    if not sampling.cuda_graph:
        longest = sampling.max_completion_tokens
        return GrowingCacheDecoder(model, prompts.cache, prompts.mask, prompts.padded, group, longest)
    if fixed is None:
        rows, tokens = len(prompts.mask) * group, prompts.mask.shape[1]
        fixed = FixedCacheDecoder(model, rows, tokens, sampling.max_completion_tokens)
    fixed.start(prompts.cache, prompts.mask, group)
    return fixed


def _empty_completions(hidden: Tensor, length: int) -> Completions:
    """[R, L] tokens to be filled in, for hidden states [R, H]."""
    rows, device = len(hidden), hidden.device
    tokens = torch.zeros(rows, length, dtype=torch.long, device=device)
    precision = torch.float64 if hidden.dtype == torch.float64 else torch.float32
    logp = torch.zeros(rows, length, dtype=precision, device=device)
    return Completions(tokens, torch.zeros_like(tokens, dtype=torch.bool), logp, torch.zeros_like(tokens[:, 0]).bool())
