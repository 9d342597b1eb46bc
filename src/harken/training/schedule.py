"""What follows from the number of a step alone: its learning rate, and whether a periodic task is due after it.

There is no scheduler object whose state could be lost, so a resumed run has the learning rates of an uninterrupted one.
"""

import math

from harken.config.training import Schedule


def learning_rate_at(step: int, steps: int, peak: float, schedule: Schedule, warmup_share: float) -> float:
    """Learning rate of update `step` (0-based) of `steps`: a linear warm-up to `peak`, then to 0 along the schedule."""
    warmup = math.ceil(warmup_share * steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    match schedule:
        case "constant":
            return peak
        case "linear":
            return peak * (1 - progress)
        case "cosine":
            return peak * 0.5 * (1 + math.cos(math.pi * progress))


def is_due(step: int, every: int | None, last_step: int) -> bool:
    """Whether a task that is done every `every` steps, and always after the last one, is done after `step` (1-based).

    `every` None: only after the last step.
    """
    return step == last_step or (every is not None and step % every == 0)
