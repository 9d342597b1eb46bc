"""Sampled completions for a batch of prompts: each prompt is computed once and continued G times.

Training and evaluation call `rollout` with prompts whose audio is encoded already. It prefills them, decodes, and
splits the batch where not all rows fit into memory at once.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from harken.inference.completions import Completions, concatenate
from harken.inference.decode import decode
from harken.inference.kv_cache_fixed import FixedCacheDecoder
from harken.inference.prefill import prefill
from harken.inference.sampling import Sampling
from harken.models.audio_lm import AudioLM


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
        prompts: P embedded prompts, [T, H] each; lengths may differ.
        uniforms: [P * G, max_completion_tokens] float64 in [0, 1), one per token; None for greedy.
        most_rows: rows decoded at once, so that their keys and values fit into memory; None = all. Whole groups are
            decoded together where one fits. Otherwise a group is split, and its prompt is computed again for each
            part. The samples do not depend on it.
    """
    portions = _portions(len(prompts), completions_per_prompt, most_rows)
    decoder = None
    if sampling.cuda_graph:
        rows = max((last - first) * group for first, last, group in portions)
        longest = max(prompt.shape[0] for prompt in prompts)
        decoder = FixedCacheDecoder(model, rows, longest, sampling.max_completion_tokens)
    parts, done = [], 0
    for first, last, group in portions:
        rows = (last - first) * group
        numbers = None if uniforms is None else uniforms[done : done + rows]
        parts.append(decode(model, prefill(model, prompts[first:last]), group, sampling, numbers, decoder))
        done += rows
    return concatenate(parts)


def _portions(prompts: int, group: int, most_rows: int | None) -> list[tuple[int, int, int]]:
    """(first prompt, prompt after the last, completions of each) with at most `most_rows` rows, in row order."""
    most = prompts * group if most_rows is None else most_rows
    if most >= group:
        size = most // group
        return [(p, min(p + size, prompts), group) for p in range(0, prompts, size)]
    return [(p, p + 1, min(most, group - g)) for p in range(prompts) for g in range(0, group, most)]
