"""One update of AdamW (arXiv 1711.05101) on a piece of one weight: read into float32, computed there, written back."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from harken.models.precision import join_float32, round_stochastically, split_float32
from harken.training.adamw_number_formats import read_moment, write_moment

EPSILON = 1e-8
_MASK = 2**32 - 1


def update_piece(
    weight: Tensor,
    gradient: Tensor,
    state: dict[str, Tensor],
    place: tuple[Tensor, Tensor] | None,
    factors: tuple[Tensor, ...],
    values: dict[str, Tensor] | None,
) -> None:
    """One step of AdamW on flat pieces, in place.

    Args:
        place: with stochastic rounding, the key of the update and the number of the piece's first weight.
        factors: from `update_factors`.
        values: what the codes of 8-bit moments stand for.
    """
    gain1, keep2, gain2, keep_weight, rate, root_of_bias2 = factors
    gradient = gradient.float()
    exact = join_float32(weight, state["correction"]) if "correction" in state else weight.float()
    first = read_moment(state, "exp_avg", values)
    second = read_moment(state, "exp_avg_sq", values)
    first = first + (gradient - first) * gain1
    second = second * keep2 + gradient * gradient * gain2
    exact = exact * keep_weight - first / (second.sqrt() / root_of_bias2 + EPSILON) * rate
    write_moment(state, "exp_avg", first, values)
    write_moment(state, "exp_avg_sq", second, values)
    if "correction" in state:
        high, low = split_float32(exact)
        weight.copy_(high)
        state["correction"].copy_(low)
    elif place is not None:
        weight.copy_(round_stochastically(exact, noise(*place, weight.numel())))
    else:
        weight.copy_(exact)


@functools.cache
def compiled_update() -> Callable[..., None]:
    """The update as one kernel instead of about forty, for pieces of any size. Only on CUDA: on a CPU compiling takes
    longer than a tiny model trains."""
    return torch.compile(update_piece, dynamic=True)


def update_factors(
    rate: float, betas: tuple[float, float], weight_decay: float, update_number: int
) -> tuple[Tensor, ...]:
    """The numbers that an update multiplies with. As tensors: with Python numbers a compiled update would be compiled
    again at every step."""
    beta1, beta2 = betas
    bias1, bias2 = 1 - beta1**update_number, 1 - beta2**update_number
    factors = [1 - beta1, beta2, 1 - beta2, 1 - rate * weight_decay, rate / bias1, bias2**0.5]
    return torch.tensor(factors, dtype=torch.float32).unbind()


def noise(key: Tensor, start: Tensor, count: int) -> Tensor:
    """[count] int32, uniform in [0, 65536): a hash of a key and of the numbers from `start` on.

    The number of a weight decides, not the piece or the rank that it lies on. The hash is lowbias32 of C. Wellons, in
    int64, in which its products cannot overflow.
    """
    bits = (torch.arange(count, device=key.device) + start) ^ key
    bits = ((bits ^ (bits >> 16)) * 0x7FEB352D) & _MASK
    bits = ((bits ^ (bits >> 15)) * (0x846CA68B - 2**32)) & _MASK
    return ((bits ^ (bits >> 16)) & 0xFFFF).to(torch.int32)
