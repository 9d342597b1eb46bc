"""Counts what makes the host wait for a GPU, on a CPU, where nothing waits.

`HostReads` is a context: inside it, every operator that reads a value of a tensor into Python, or whose result has a
shape that depends on values, adds its name to `names`. On a GPU each of them waits for all kernels launched before.
"""

from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

METHODS = {torch.Tensor.tolist, torch.Tensor.numpy, torch.Tensor.cpu}
"""Methods that read a CPU tensor without an operator."""
OPERATORS = {
    "aten::_local_scalar_dense",
    "aten::item",
    "aten::is_nonzero",
    "aten::equal",
    "aten::nonzero",
    "aten::masked_select",
    "aten::repeat_interleave.Tensor",
    "aten::unique_dim",
    "aten::_unique2",
}
INDEXING = {"aten::index.Tensor", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
"""Operators that read the mask where they are given a boolean one."""


class HostReads:
    """Collects the names of host reads while it is entered."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._inside = False
        self._modes = (_Functions(self), _Operators(self))

    def add(self, name: str) -> None:
        if not self._inside:
            self.names.append(name)

    def __enter__(self) -> "HostReads":
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(*error)


class _Functions(TorchFunctionMode):
    def __init__(self, reads: HostReads) -> None:
        super().__init__()
        self._reads = reads

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in METHODS:
            return func(*args, **(kwargs or {}))
        self._reads.add(func.__name__)
        self._reads._inside = True  # the operators of `tolist` are one read
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self._reads._inside = False


class _Operators(TorchDispatchMode):
    def __init__(self, reads: HostReads) -> None:
        super().__init__()
        self._reads = reads

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name()
        if name in OPERATORS or (name in INDEXING and _has_boolean_mask(args[1])):
            self._reads.add(name)
        return func(*args, **(kwargs or {}))


def _has_boolean_mask(indices: Any) -> bool:
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices)
