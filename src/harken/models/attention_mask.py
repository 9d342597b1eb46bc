"""Attention masks in the form that every layer can share.

Given a mask of true and false, torch's attention makes an additive one for each layer, and each layer keeps its own for
the backward pass. An additive mask that is made once is kept once.
"""

import torch
from torch import Tensor

ALIGNED_ELEMENTS = 16
"""A row of a mask begins at a multiple of so many elements: CUDA's kernels for masked attention copy it otherwise."""


def additive_mask(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """[..., Q, K] bool, True = may attend -> 0 where true and minus infinity elsewhere, in the attention's dtype."""
    width = mask.shape[-1]
    storage = torch.zeros(
        *mask.shape[:-1], -(-width // ALIGNED_ELEMENTS) * ALIGNED_ELEMENTS, dtype=dtype, device=mask.device
    )
    return storage[..., :width].masked_fill_(~mask, -torch.inf)


def compute_dtype(tensor: Tensor) -> torch.dtype:
    """The dtype in which matrices are multiplied with this tensor: its own, or that of autocast."""
    kind = tensor.device.type
    if tensor.dtype == torch.float64 or not torch.is_autocast_enabled(kind):
        return tensor.dtype
    return torch.get_autocast_dtype(kind)
