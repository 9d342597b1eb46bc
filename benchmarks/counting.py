"""Counts what a GPU would be asked to do, on a CPU, without timing anything.

`Counter` is a context. Inside it, operators are counted as torch dispatches them, in the forward and the backward pass
and in blocks that checkpointing computes again. It needs torch alone, so that it runs in the environments of peers too.
"""

import sys
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

READING_METHODS = {torch.Tensor.tolist, torch.Tensor.numpy, torch.Tensor.cpu}
"""Methods that read a CPU tensor without an operator."""
READING_OPERATORS = {
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
WITHOUT_KERNEL = ("aten::empty", "aten::new_empty", "aten::detach", "aten::lift_fresh", "aten::resize_", "profiler::")
"""Beginnings of the names of operators that are no views and start no kernel: they reserve memory, or mark."""
ATTENTION = torch.nn.functional.scaled_dot_product_attention
TOWER_NAMES = ("Audio", "Whisper")
"""Parts of the names of transformers' classes of attention in an audio tower."""
VARLEN = ("aten::_flash_attention_forward", "torch_attn::_varlen_attn")
"""Beginnings of the names of the operators that `torch.nn.attention.varlen` calls."""

FIGURES = ("launches", "host_reads", "cast_bytes", "attention_calls", "tower_attention_calls", "mask_bytes")
"""launches: dispatched operators that start a kernel. host_reads: places where the host waits for the device, because
Python or the shape of a result needs a value. cast_bytes: bytes read and written to change the number type of a tensor.
attention_calls: of the forward passes, those of the audio tower included; tower_attention_calls: those alone.
mask_bytes: size of the masks that attention is given, each mask once."""


class Counter:
    """Adds up FIGURES while it is entered. `take` returns the sums since the last call of it.

    Attributes:
        reads: names of the host reads since the last call of `take`.
    """

    def __init__(self) -> None:
        self._modes = (_Functions(self), _Operators(self))
        self._inside_read = self._inside_attention = False
        self.take()

    def take(self) -> dict[str, int]:
        sums = getattr(self, "_sums", {})
        self._sums = dict.fromkeys(FIGURES, 0)
        self.reads: list[str] = []
        self._masks: dict[int, torch.Tensor] = {}  # held, so that no other mask gets the same address
        return sums

    def __enter__(self) -> "Counter":
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(*error)

    def add(self, figure: str, n: int = 1) -> None:
        self._sums[figure] += n

    def add_read(self, name: str) -> None:
        if not self._inside_read:
            self.reads.append(name)
            self.add("host_reads")

    def add_attention(self, mask: torch.Tensor | None) -> None:
        self.add("attention_calls")
        if _is_of_a_tower(_attention_class()):
            self.add("tower_attention_calls")
        if mask is not None and mask.untyped_storage().data_ptr() not in self._masks:
            self._masks[mask.untyped_storage().data_ptr()] = mask
            self.add("mask_bytes", mask.untyped_storage().nbytes())


class _Functions(TorchFunctionMode):
    """Counts calls that are no operators of their own: attention, and methods that read values on the host."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self._counter = counter

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is ATTENTION:
            self._counter.add_attention(args[3] if len(args) > 3 else kwargs.get("attn_mask"))
            self._counter._inside_attention = True  # it may become matrix products and a softmax
            try:
                return func(*args, **kwargs)
            finally:
                self._counter._inside_attention = False
        if func is torch.Tensor.backward:  # a block that is computed again calls attention in here
            with self:
                kwargs["grad_tensors"] = kwargs.pop("gradient", None)
                return torch.autograd.backward(*args, **kwargs)
        if func not in READING_METHODS:
            return func(*args, **kwargs)
        self._counter.add_read(func.__name__)
        self._counter._inside_read = True  # the operators of `tolist` are one read
        try:
            return func(*args, **kwargs)
        finally:
            self._counter._inside_read = False


class _Operators(TorchDispatchMode):
    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self._counter = counter

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, counter = func.name(), self._counter
        if name in READING_OPERATORS or (name in INDEXING and _has_boolean_mask(args[1])):
            counter.add_read(name)
        result = func(*args, **(kwargs or {}))
        if not func.is_view and not name.startswith(WITHOUT_KERNEL):
            counter.add("launches")
        if name.startswith(VARLEN):
            counter.add_attention(None)
        elif name == "aten::_softmax" and not counter._inside_attention and _attention_class():
            counter.add_attention(None)  # a tower that spells attention out
        if name == "aten::_to_copy" and result.dtype != args[0].dtype:
            counter.add("cast_bytes", args[0].nbytes + result.nbytes)
        elif name == "aten::copy_" and args[0].dtype != args[1].dtype:
            counter.add("cast_bytes", args[0].nbytes + args[1].nbytes)
        return result


def _has_boolean_mask(indices: Any) -> bool:
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices)


def _attention_class() -> type[torch.nn.Module] | None:
    """The class of the attention module whose forward pass this is called from; None outside of one."""
    frame = sys._getframe(1)
    while frame is not None:
        module = frame.f_locals.get("self")
        if isinstance(module, torch.nn.Module) and "Attention" in type(module).__name__:
            return type(module)
        frame = frame.f_back
    return None


def _is_of_a_tower(attention: type[torch.nn.Module] | None) -> bool:
    names = [] if attention is None else [base.__name__ for base in attention.__mro__]
    return any(word in name for name in names for word in TOWER_NAMES)
