"""What a training step cost: its time, its speed and the memory it took."""

import psutil
import torch


def step_cost(tokens: float, step_s: float) -> dict[str, float]:
    """Seconds, tokens of completions or answers per second, and memory in GiB, as part of a metric row.

    The memory is the most that CUDA has allocated so far; without CUDA it is what the process holds now.
    """
    row = {"time/step_s": step_s, "time/tokens_per_s": tokens / step_s}
    if torch.cuda.is_available():
        return row | {"memory/peak_gib": torch.cuda.max_memory_allocated() / 2**30}
    return row | {"memory/rss_gib": psutil.Process().memory_info().rss / 2**30}
