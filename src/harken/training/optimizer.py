"""Builds the optimizer of a run and applies its updates.

It is torch's AdamW, or `MemorySavingAdamW` where the recipe's `memory` section asks for 8-bit moments, bfloat16 weights
or updates during the backward pass, or `HostAdamW` where it asks for offloaded ones.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from harken.config import MemoryConfig
from harken.training.host_adamw import HostAdamW
from harken.training.memory_saving_adamw import MemorySavingAdamW


def build_optimizer(
    module: nn.Module,
    *,
    learning_rate: float,
    betas: tuple[float, float],
    weight_decay: float,
    decay_norms_and_biases: bool = False,
    memory: MemoryConfig = MemoryConfig(),  # noqa: B008 (frozen)
    corrections: Mapping[str, Tensor] | None = None,
    seed: int = 0,
) -> torch.optim.Optimizer:
    """AdamW over every parameter that requires gradients.

    Args:
        weight_decay: of matrices; with `decay_norms_and_biases` also of weights of one dimension.
        corrections: name of a parameter -> the bits that this rank's part of its bfloat16 lacks, from
            `load_policy_exactly`.

    Raises ValueError where a trained weight is stored in fewer than 24 bits of mantissa and `memory` keeps no
    correction: at learning rate 1e-6 rounding to bfloat16 silently drops about 98 % of the updates.
    """
    trained = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    _refuse_wrong_types(trained, memory)
    groups = _groups([*trained.values()], together=decay_norms_and_biases or weight_decay == 0)
    if (memory.weights, memory.optimizer, memory.step_in_backward) == ("float32", "adamw", False):
        # fused: one pass over weights, gradients and moments without a temporary float32 copy of each weight; it is
        # deterministic, so resuming is exact.
        return torch.optim.AdamW(groups, lr=learning_rate, betas=betas, weight_decay=weight_decay, fused=True)
    optimizer = HostAdamW if memory.optimizer == "offloaded" else MemorySavingAdamW
    return optimizer(
        groups,
        lr=learning_rate,
        betas=betas,
        weight_decay=weight_decay,
        weights=memory.weights,
        moments=memory.optimizer,
        in_backward=memory.step_in_backward,
        corrections={trained[name]: correction for name, correction in (corrections or {}).items()},
        seed=seed,
    )


def _groups(parameters: Sequence[nn.Parameter], *, together: bool) -> list[dict[str, Any]]:
    """All parameters in one group, or matrices apart from norms and biases, which have no weight decay."""
    if together:
        return [{"params": [*parameters]}]
    matrices, vectors = ([p for p in parameters if (p.ndim > 1) == many] for many in (True, False))
    groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _refuse_wrong_types(trained: Mapping[str, nn.Parameter], memory: MemoryConfig) -> None:
    if memory.weights != "float32":
        for name, parameter in trained.items():
            if parameter.dtype != torch.bfloat16:
                raise ValueError(
                    f"memory.weights: {memory.weights} takes bfloat16 weights; {name} is {parameter.dtype}"
                )
        return
    coarse = [name for name, parameter in trained.items() if parameter.dtype not in (torch.float32, torch.float64)]
    if coarse:
        raise ValueError(
            f"{len(coarse)} trained weights are stored in {trained[coarse[0]].dtype} ({coarse[0]}, ...), which rounds "
            "small updates away; load them in float32 and set model.precision: bf16_mixed for speed, or memory.weights"
        )


@contextlib.contextmanager
def left_alone(optimizer: torch.optim.Optimizer | None, parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Drop the gradients that these parameters get inside, also those that would be used during the backward pass."""
    parameters = [*parameters]
    if isinstance(optimizer, MemorySavingAdamW):
        optimizer.left_alone = frozenset(parameters)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.grad = None
        if isinstance(optimizer, MemorySavingAdamW):
            optimizer.left_alone = frozenset()


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Call this before the backward pass of a step, because `memory.step_in_backward` updates weights during it."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def apply_update(optimizer: torch.optim.Optimizer, learning_rate: float, max_grad_norm: float | None) -> float:
    """Clip the norm of all gradients, update the weights, clear the gradients. Returns the norm before clipping.

    Args:
        max_grad_norm: None = no clipping.

    Raises FloatingPointError instead of an update along a gradient that is not finite. Where the update ran during the
    backward pass it is too late for that, and the error says so.
    """
    if isinstance(optimizer, MemorySavingAdamW) and optimizer.in_backward:
        norm = optimizer.take_norm()
        outcome = "the update was made in the backward pass: go on from the last checkpoint"
    else:
        norm = _clip_gradients(optimizer, max_grad_norm)
        outcome = "no update was made"
    if not math.isfinite(norm):
        raise FloatingPointError(f"the gradient norm is {norm}; {outcome}")
    set_learning_rate(optimizer, learning_rate)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    torch.clear_autocast_cache()  # else it serves the weights of before the update until its context ends
    return norm


def _clip_gradients(optimizer: torch.optim.Optimizer, max_grad_norm: float | None) -> float:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    limit = float("inf") if max_grad_norm is None else max_grad_norm
    norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)  # of the shards on all ranks
