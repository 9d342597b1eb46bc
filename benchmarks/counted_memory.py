"""Runs code on fake tensors, which have no memory, and counts what they would take, for simulate.py.

torch's own `MemTracker` counts the same, but takes as long as the run for its statistics of modules; `CountedMemory`
leaves out what it leaves out: the whole tensors on which DTensor finds out shapes.

CountedMemory   adds up the bytes of all storages that are alive, and keeps their largest sum
KnownValues     computes small tensors beside their fakes, so that code can read lengths, masks and positions; what
                is not known reads as zero
"""

import weakref
from typing import Any

import torch
from torch import Tensor
from torch._guards import active_fake_mode
from torch._subclasses.fake_tensor import FakeTensor
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakIdKeyDictionary

aten = torch.ops.aten
SMALL, SMALL_FLOAT = 65_536, 256
"""Most numbers of a tensor whose values are computed: integers and truth values, and floats."""
WITHOUT_SHAPE = ("nonzero", "unique", "index.Tensor", "masked_select", "repeat_interleave")
"""Operators whose result has a size that depends on values."""


class CountedMemory(TorchDispatchMode):
    """Attributes:
    now, peak: bytes that are alive, and the most of them since `reset`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}
        self._elsewhere: set[int] = set()

    def reset(self) -> None:
        self.peak = self.now

    def leave_out(self, tensor: Tensor) -> None:
        """Count a tensor's storage no more, because it would be in host memory."""
        key = tensor.untyped_storage()._cdata
        self.now -= self._sizes.pop(key, 0)
        self._elsewhere.add(key)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        if any(issubclass(kind, DTensor) for kind in types):
            return NotImplemented  # DTensor turns it into operators on this rank's parts, which come back here
        result = func(*args, **(kwargs or {}))
        if active_fake_mode() is self._mode:  # DTensor has another one for whole tensors
            for tensor in tree_leaves(result):
                if isinstance(tensor, Tensor):
                    self._count(tensor)
        return result

    def __enter__(self) -> Any:
        self._mode = active_fake_mode()
        return super().__enter__()

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._sizes or key in self._elsewhere:
            if key in self._sizes and size > self._sizes[key]:  # FSDP gives a freed storage its size again
                self.now += size - self._sizes[key]
                self._sizes[key] = size
                self.peak = max(self.peak, self.now)
            return
        self._sizes[key] = size
        self.now += size
        self.peak = max(self.peak, self.now)

        def free() -> None:
            self.now -= self._sizes.pop(key, 0)
            self._elsewhere.discard(key)

        weakref.finalize(storage, free)

    def resized(self, tensor: Tensor, size: int) -> None:
        """Count a storage that was resized in place, which no operator does."""
        key = tensor.untyped_storage()._cdata
        if key in self._sizes:
            self.now += size - self._sizes[key]
            self._sizes[key] = size
            self.peak = max(self.peak, self.now)


class KnownValues(TorchDispatchMode):
    """See the module. It has to be the innermost mode."""

    def __init__(self) -> None:
        super().__init__()
        self._values = WeakIdKeyDictionary()

    def _value(self, value: Any) -> Any:
        return self._values[value] if isinstance(value, FakeTensor) else value

    def _is_known(self, tensor: Tensor) -> bool:
        return tensor.numel() <= SMALL and (not isinstance(tensor, FakeTensor) or tensor in self._values)

    def _is_large(self, result: Any) -> bool:
        return isinstance(result, Tensor) and result.numel() > SMALL

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        kwargs = kwargs or {}
        tensors = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        known = all(self._is_known(tensor) for tensor in tensors)
        if func is aten._local_scalar_dense.default:
            return self._read(args[0], known=known)
        if func is aten.equal.default:
            return True  # weights: all of them are as a checkpoint in bfloat16 has them
        if not known:
            if func._schema.is_mutable:
                for tensor in tensors:
                    self._values.pop(tensor, None)
            if func is aten.nonzero.default:  # of rows that go on: all
                return torch.zeros(args[0].numel(), args[0].ndim, dtype=torch.long)
            return func(*args, **kwargs)
        if not tensors and self._is_large(result := func(*args, **kwargs)):
            return result
        values = self._compute(func, args, kwargs)
        if any(name in str(func) for name in WITHOUT_SHAPE):
            return tree_map(lambda value: self._fake_of(value) if isinstance(value, Tensor) else value, values)
        result = func(*args, **kwargs)
        for fake, value in zip(tree_leaves(result), tree_leaves(values), strict=True):
            self._keep(fake, value)
        return result

    def _read(self, tensor: Tensor, *, known: bool) -> Any:
        if known:
            with _disable_current_modes():
                return self._value(tensor).item()
        return False if tensor.dtype == torch.bool else 0.0 if tensor.is_floating_point() else 0

    def _compute(self, func, args, kwargs) -> Any:
        with _disable_current_modes():
            return func(*tree_map(self._value, args), **tree_map(self._value, kwargs))

    def _fake_of(self, value: Tensor) -> Tensor:
        fake = torch.empty(value.shape, dtype=value.dtype)
        self._values[fake] = value
        return fake

    def _keep(self, fake: Any, value: Any) -> None:
        if isinstance(fake, FakeTensor) and isinstance(value, Tensor):
            most = SMALL_FLOAT if value.is_floating_point() else SMALL
            if value.numel() <= most:
                self._values[fake] = value
