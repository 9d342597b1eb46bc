"""float32 linear layers on AMD processors by oneDNN.

torch leaves their matrix products to MKL, which on an AMD processor with AVX-512 is half as fast as oneDNN, which torch
brings for convolutions. Takes a model on a CPU, gives the same model whose linear layers compute through oneDNN, in
float32 as before; while it decodes, from weights in oneDNN's own order, which it would otherwise make anew for every
token. Not taken: that order all the time, a second copy of the weights that every update makes stale.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from harken.cpu import made_by_amd

SMALLEST = 2**16
"""Weights of a layer: below, calling oneDNN costs about as much as it saves."""
TOKENS_BEFORE = 16
"""Decoded before a layer's weights are reordered, which costs about as much as it saves for ten."""


def onednn_pays() -> bool:
    """Whether this is a processor of AMD with AVX-512."""
    with_avx_512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return torch.backends.mkldnn.is_available() and with_avx_512 and made_by_amd()


def use_onednn(module: nn.Module) -> None:
    """From now on, where that pays, its linear layers of `SMALLEST` weights and more compute through oneDNN."""
    if not onednn_pays():
        return
    for layer in module.modules():
        if type(layer) is nn.Linear and layer.weight.numel() >= SMALLEST and layer.weight.device.type == "cpu":
            layer.__class__ = OneDnnLinear


@contextlib.contextmanager
def reordering(module: nn.Module) -> Iterator[None]:
    """Within, without gradients and with weights that stay as they are, its layers are called for token after token.
    The layers of a long completion then hold their weights a second time."""
    layers = [layer for layer in module.modules() if isinstance(layer, OneDnnLinear)]
    for layer in layers:
        layer.reordered = Reordered()
    try:
        yield
    finally:
        for layer in layers:
            layer.reordered = None


@dataclass(eq=False, slots=True)
class Reordered:
    """A layer's weights in oneDNN's own order, once it was called for `TOKENS_BEFORE` tokens."""

    calls: int = 0
    made: Tensor | None = None

    def of(self, weight: Tensor, rows: int) -> Tensor:
        self.calls += 1
        if self.made is None and self.calls > TOKENS_BEFORE:
            self.made = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        return weight if self.made is None else self.made


class OneDnnLinear(nn.Linear):
    """What oneDNN is not for (another device or type, autocast) goes torch's way."""

    reordered: Reordered | None = None

    def forward(self, input: Tensor) -> Tensor:
        float32 = input.dtype == self.weight.dtype == torch.float32
        if not float32 or input.device.type != "cpu" or torch.is_autocast_enabled("cpu") or input.numel() == 0:
            return super().forward(input)
        if not torch.is_grad_enabled():
            weight, reordered = self.weight, self.reordered
            if reordered is not None:
                weight = reordered.of(weight, input.numel() // input.shape[-1])
            return _times_transposed(input, weight, self.bias)
        return _Product.apply(input, self.weight, self.bias)


class _Product(torch.autograd.Function):
    """x [..., K], weight [N, K], bias [N] or None -> [..., N]."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _times_transposed(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        rows = gradient.reshape(-1, gradient.shape[-1])
        for_x, for_weight, for_bias = ctx.needs_input_grad
        return (
            _times_transposed(rows, weight.t()).view(x.shape) if for_x else None,
            _times_transposed(rows.t(), x.reshape(-1, x.shape[-1]).t()) if for_weight else None,
            rows.sum(0) if for_bias else None,
        )


def _times_transposed(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a @ b.T + bias."""
    return torch.ops.mkldnn._linear_pointwise(a, b, bias, "none", [], "")
