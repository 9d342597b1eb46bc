"""Single tensors that lie in parts on several ranks (DTensor): gathered into a whole one, and cut into parts again.

Checkpoints are written from whole tensors and read into parts, so that their format does not depend on the number of
ranks. A part holds whole rows, of dimension 0.
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
    if value.dtype == torch.int16:  # which neither gloo nor NCCL sends
        return gather_tensor(value.to(torch.int32), keep=keep).to(torch.int16)
    whole = value.full_tensor()
    return whole.cpu() if keep else torch.empty(0)


def as_part_of(part: Any, like: Tensor) -> Any:
    """A plain tensor that holds this rank's rows of something, as the DTensor that lies on the ranks as `like` does.
    Needs no communication. Everything is returned as it is where `like` is no DTensor, as are values without rows."""
    if not isinstance(like, DTensor) or isinstance(part, DTensor) or part.ndim == 0:
        return part
    shape = torch.Size((like.shape[0], *part.shape[1:]))
    return DTensor.from_local(
        part.to(like.device),
        like.device_mesh,
        like.placements,
        run_check=False,
        shape=shape,
        stride=torch.empty(shape, device="meta").stride(),
    )


def distribute_like(value: Tensor, like: Tensor) -> Tensor:
    """Cut a whole tensor, which every rank has, into the parts in which `like` lies. Needs no communication."""
    if not isinstance(like, DTensor):
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def local_part(tensor: Tensor) -> Tensor:
    """This rank's rows of a tensor, in the same memory; the tensor itself where it is whole."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def first_number(tensor: Tensor) -> int:
    """How many numbers of the whole tensor lie before this rank's part of it."""
    if not isinstance(tensor, DTensor):
        return 0
    rows_per_rank = -(-tensor.shape[0] // tensor.device_mesh.size())
    row = min(tensor.device_mesh.get_local_rank() * rows_per_rank, tensor.shape[0])
    return row * (tensor.numel() // tensor.shape[0])
