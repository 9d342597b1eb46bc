"""What a training step took: time, tokens a second and memory."""

import psutil
import torch


def cost(tokens: float, step_s: float) -> dict[str, float]:
    """What a step took: seconds, tokens of completions or answers a second, and memory, GiB: the most that CUDA held
    so far, or what the process holds on a machine without it."""
    row = {"time/step_s": step_s, "time/tokens_per_s": tokens / step_s}
    if torch.cuda.is_available():
        return row | {"memory/peak_gib": torch.cuda.max_memory_allocated() / 2**30}
    return row | {"memory/rss_gib": psutil.Process().memory_info().rss / 2**30}
