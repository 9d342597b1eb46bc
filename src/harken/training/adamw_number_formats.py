"""Optimizer moments in 8 bits: each is read into float32, updated there by `memory_saving_adamw.py`, and written back.

The table of 8-bit values is torchao's.
"""

import torch
from torch import Tensor

from harken.errors import ConfigError

LARGEST_BLOCK, SMALLEST_BLOCK = 256, 64
"""Numbers of 8-bit moments that share one scale."""


def block_size(row: int) -> int:
    """How many moments share a scale in a tensor with rows of so many numbers; 0 where they stay float32.

    A row consists of whole blocks, so that a part of the rows, which a rank of several keeps, has the scales of the
    whole. Every matrix of the published models has blocks of 256, but for the tower's first convolution (192).
    """
    sizes = range(min(LARGEST_BLOCK, row), SMALLEST_BLOCK - 1, -1)
    return next((size for size in sizes if row % size == 0), 0)


def eight_bit_values() -> dict[str, Tensor]:
    """The 256 values that the codes of each moment stand for (arXiv 2110.02861).

    Raises ConfigError where torchao is not installed.
    """
    try:
        from torchao.optim.quant_utils import create_dynamic_map
    except ImportError as error:
        raise ConfigError(
            "memory.optimizer: adamw_8bit needs torchao, which is not installed: pip install 'harken[gpu]'"
        ) from error
    return {
        "exp_avg": torch.tensor(create_dynamic_map(signed=True), dtype=torch.float32),
        "exp_avg_sq": torch.tensor(create_dynamic_map(signed=False), dtype=torch.float32),
    }


def read_moment(state: dict[str, Tensor], name: str, values: dict[str, Tensor] | None) -> Tensor:
    """The moment `name` as float32; it is in 8 bits where the state has a scale for it."""
    if values is None or f"{name}_scale" not in state:
        return state[name]
    from torchao.optim.quant_utils import dequant_with_qmap

    return dequant_with_qmap(state[name], values[name], state[f"{name}_scale"])


def write_moment(state: dict[str, Tensor], name: str, moment: Tensor, values: dict[str, Tensor] | None) -> None:
    """Store the float32 moment `name` in place, in the form in which the state keeps it."""
    if values is None or f"{name}_scale" not in state:
        state[name].copy_(moment)
        return
    from torchao.optim.quant_utils import quantize_8bit_with_qmap, scale_tensor

    scaled, scale = scale_tensor(moment, moment.numel() // state[f"{name}_scale"].numel())
    state[name].copy_(quantize_8bit_with_qmap(scaled, values[name]))
    state[f"{name}_scale"].copy_(scale)
