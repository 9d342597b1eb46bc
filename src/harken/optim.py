"""The optimizer and its learning-rate schedule.

Takes trainable parameters and settings, gives AdamW and a pure function of the step. Not taken: a scheduler object; the
rate of step s follows from s alone, so a resumed run cannot be out of step.
"""

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import nn
from torch.distributed.tensor import DTensor


def build_optimizer(
    module: nn.Module, *, learning_rate: float, betas: tuple[float, float], weight_decay: float
) -> torch.optim.AdamW:
    """AdamW over every parameter that requires gradients.

    Raises ValueError where one is stored in fewer than 24 bits of mantissa: at learning rate 1e-6 rounding to bfloat16
    drops about 98 % of the updates, without any sign of it.
    """
    trained = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    coarse = [name for name, parameter in trained.items() if parameter.dtype not in (torch.float32, torch.float64)]
    if coarse:
        raise ValueError(
            f"{len(coarse)} trained weights are stored in {trained[coarse[0]].dtype} ({coarse[0]}, ...), which rounds "
            "small updates away; load them in float32 and set model.precision: bf16_mixed for speed"
        )
    return torch.optim.AdamW(trained.values(), lr=learning_rate, betas=betas, weight_decay=weight_decay)


def learning_rate_at(
    step: int, steps: int, peak: float, schedule: Literal["linear", "cosine", "constant"], warmup_share: float
) -> float:
    """Rate of update `step` (0-based) of `steps`: linear warm-up, then to 0 along the schedule."""
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


def apply_update(optimizer: torch.optim.Optimizer, learning_rate: float, max_grad_norm: float) -> float:
    """Clip the global norm, set the rate, step, clear the gradients. Returns the norm before clipping.

    Raises FloatingPointError instead of taking a step along a gradient that is not finite.
    """
    parameters: Iterable[nn.Parameter] = [p for group in optimizer.param_groups for p in group["params"]]
    total = torch.nn.utils.clip_grad_norm_(parameters, max_grad_norm)
    norm = float(total.full_tensor() if isinstance(total, DTensor) else total)  # of the parts on all ranks
    if not math.isfinite(norm):
        raise FloatingPointError(f"the gradient norm is {norm}; no update was made")
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm
