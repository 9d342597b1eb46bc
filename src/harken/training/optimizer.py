"""The optimizer and its learning-rate schedule.

Takes trainable parameters and settings, gives AdamW (torch's, or `harken.training.memory_saving_adamw` where the memory
section asks for what that does not have) and a pure function of the step. Not taken: a scheduler object; the
rate of step s follows from s alone, so a resumed run cannot be out of step.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from harken.config import MemoryConfig
from harken.training.memory_saving_adamw import MemorySavingAdamW


def build_optimizer(
    module: nn.Module,
    *,
    learning_rate: float,
    betas: tuple[float, float],
    weight_decay: float,
    memory: MemoryConfig = MemoryConfig(),  # noqa: B008 (frozen)
    seed: int = 0,
) -> torch.optim.Optimizer:
    """AdamW over every parameter that requires gradients.

    Raises ValueError where one is stored in fewer than 24 bits of mantissa and `memory` keeps no more: at learning rate
    1e-6 rounding to bfloat16 drops about 98 % of the updates, without any sign of it.
    """
    trained = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    settings: dict[str, Any] = {"lr": learning_rate, "betas": betas, "weight_decay": weight_decay}
    if memory.weights != "float32":
        other = [name for name, parameter in trained.items() if parameter.dtype != torch.bfloat16]
        if other:
            raise ValueError(f"memory.weights: {memory.weights} takes bfloat16 weights; {other[0]} is none")
    coarse = [name for name, parameter in trained.items() if parameter.dtype not in (torch.float32, torch.float64)]
    if coarse and memory.weights == "float32":
        raise ValueError(
            f"{len(coarse)} trained weights are stored in {trained[coarse[0]].dtype} ({coarse[0]}, ...), which rounds "
            "small updates away; load them in float32 and set model.precision: bf16_mixed for speed, or memory.weights"
        )
    if (memory.weights, memory.optimizer, memory.step_in_backward) == ("float32", "adamw", False):
        # fused: one pass over weights, gradients and moments, on a CPU as on a GPU, without a float32 number for every
        # weight on the way; deterministic, so resuming is exact.
        return torch.optim.AdamW(trained.values(), fused=True, **settings)
    return MemorySavingAdamW(
        trained.values(),
        weights=memory.weights,
        moments=memory.optimizer,
        in_backward=memory.step_in_backward,
        seed=seed,
        **settings,
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Before the backward pass of a step: there may be no other time, see `memory.step_in_backward`."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def apply_update(optimizer: torch.optim.Optimizer, learning_rate: float, max_grad_norm: float | None) -> float:
    """Clip the global norm, set the rate, step, clear the gradients. Returns the norm before clipping.

    Args:
        max_grad_norm: None = not clipped.

    Raises FloatingPointError instead of taking a step along a gradient that is not finite; where the step was made in
    the backward pass it is too late for that, and the error says so.
    """
    if isinstance(optimizer, MemorySavingAdamW) and optimizer.in_backward:
        norm, made = optimizer.take_norm(), "the update was made in the backward pass: go on from the last checkpoint"
    else:
        parameters: Iterable[nn.Parameter] = [p for group in optimizer.param_groups for p in group["params"]]
        most = float("inf") if max_grad_norm is None else max_grad_norm
        total = torch.nn.utils.clip_grad_norm_(parameters, most)
        norm = float(total.full_tensor() if isinstance(total, DTensor) else total)  # of the parts on all ranks
        made = "no update was made"
    if not math.isfinite(norm):
        raise FloatingPointError(f"the gradient norm is {norm}; {made}")
    set_learning_rate(optimizer, learning_rate)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    torch.clear_autocast_cache()  # it would keep serving the weights before the update until its context ends
    return norm
