"""Token-by-token decoding of completions from prompts that are prefilled already.

`rollout` calls it for a whole batch; GRPO with `policy_pass: continued` calls it directly, to keep the prefilled
prompts for scoring.
"""

import torch
from torch import Tensor

from harken.inference.completions import Completions
from harken.inference.kv_cache_fixed import FixedCacheDecoder
from harken.inference.kv_cache_growing import GrowingCacheDecoder
from harken.inference.prefill import PrefilledPrompts, evaluation_mode
from harken.inference.sampling import Sampling, choose_tokens
from harken.models.audio_lm import AudioLM


@torch.no_grad()
def decode(
    model: AudioLM,
    prompts: PrefilledPrompts,
    completions_per_prompt: int,
    sampling: Sampling,
    uniforms: Tensor | None,
) -> Completions:
    """Sample G completions for each of P prompts. The prompts' cache is used up.

    Args:
        uniforms: [P * G, max_completion_tokens] float64 in [0, 1), one per token; None for greedy.
    """
    with evaluation_mode(model):
        return _decode(model, prompts, completions_per_prompt, sampling, uniforms)


def _decode(
    model: AudioLM, prompts: PrefilledPrompts, group: int, sampling: Sampling, uniforms: Tensor | None
) -> Completions:
    hidden = prompts.last_hidden.repeat_interleave(group, 0)
    decoder = _decoder(model, prompts, group, sampling)
    completions = _empty_completions(hidden, sampling.max_completion_tokens)
    tokens, mask, logp, ended = completions.tokens, completions.mask, completions.logp, completions.ended
    end_tokens = torch.tensor(model.eos_token_ids, device=hidden.device)
    active = torch.arange(len(hidden), device=hidden.device)  # rows that have not ended
    uniforms = None if uniforms is None else uniforms.to(hidden.device)
    for t in range(sampling.max_completion_tokens):
        logits = model.logits(hidden)
        drawn = choose_tokens(logits, sampling, None if uniforms is None else uniforms[active, t])
        tokens[active, t], mask[active, t] = drawn, True
        logp[active, t] = torch.log_softmax(logits, -1).gather(-1, drawn[:, None])[:, 0]
        alive = ~torch.isin(drawn, end_tokens)
        ended[active] = ~alive
        is_last = t + 1 == sampling.max_completion_tokens
        alive_rows = 0 if is_last else int(alive.sum())  # the host waits for a GPU here
        if alive_rows == 0:
            break
        if alive_rows < len(active):
            kept = alive.nonzero()[:, 0]
            decoder.keep_rows(kept)
            active, drawn = active[kept], drawn[kept]
        hidden = decoder.next_hidden(drawn)
    longest = int(mask.any(0).sum())
    return Completions(tokens[:, :longest], mask[:, :longest], logp[:, :longest], ended)


def _decoder(
    model: AudioLM, prompts: PrefilledPrompts, group: int, sampling: Sampling
) -> GrowingCacheDecoder | FixedCacheDecoder:
    if sampling.cuda_graph:
        return FixedCacheDecoder(model, prompts.cache, prompts.mask, group, sampling.max_completion_tokens)
    return GrowingCacheDecoder(model, prompts.cache, prompts.mask, prompts.padded, group)


def _empty_completions(hidden: Tensor, length: int) -> Completions:
    """[R, L] tokens to be filled in, for hidden states [R, H]."""
    rows, device = len(hidden), hidden.device
    tokens = torch.zeros(rows, length, dtype=torch.long, device=device)
    precision = torch.float64 if hidden.dtype == torch.float64 else torch.float32
    logp = torch.zeros(rows, length, dtype=precision, device=device)
    return Completions(tokens, torch.zeros_like(tokens, dtype=torch.bool), logp, torch.zeros_like(tokens[:, 0]).bool())
