"""Single tensors that lie in parts on several ranks (DTensor): gathered into a whole one, and cut into parts again.

Checkpoints are written from whole tensors and read into parts, so that their format does not depend on the number of
ranks.
"""

from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def gather_tensor(value: Any, *, keep: bool) -> Any:
    """The whole tensor on the CPU. All ranks take part; ranks that do not `keep` it get an empty tensor. A value that
    is no DTensor is returned as it is."""
    if not isinstance(value, DTensor):
        return value
    whole = value.full_tensor()
    return whole.cpu() if keep else torch.empty(0)


def distribute_like(value: Tensor, like: Tensor) -> Tensor:
    """Cut a whole tensor, which every rank has, into the parts in which `like` lies. Needs no communication."""
    if not isinstance(like, DTensor):
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
