"""AdamW whose float32 weights and moments are in host memory, updated there by torch's fused kernel for CPUs:
`memory.optimizer: offloaded`.

Gradients go to the host through a few pinned buffers and weights come back through them. A thread of its own computes
the updates, so that copies in both directions and the update of one piece go on at once, and, with
`memory.step_in_backward`, the backward pass beside them.

    device    gradient of piece n+1 ->                        -> weights of piece n-1
    host                               fused AdamW on piece n
"""

import contextlib
import queue
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from harken.models.precision import nearest_bfloat16
from harken.models.sharded_tensors import local_part
from harken.training.adamw_update import EPSILON
from harken.training.memory_saving_adamw import MemorySavingAdamW

PIECE = 2**22
"""Numbers that a pinned buffer holds."""
BUFFERS = 4
"""Pinned buffers. Where all are in use, whoever brings a gradient waits, so that no more gradients are in memory."""
CACHED = 2**18
"""Numbers that are converted, updated and converted back before the next ones, while they are in the core's cache."""


@dataclass(eq=False, slots=True)
class _Buffers:
    """Room for one piece on its way to the host and back; `returned` is the CUDA event after which it is free."""

    gradient: Tensor
    weight: Tensor
    returned: Any = None


@dataclass(frozen=True, eq=False, slots=True)
class _Piece:
    """Numbers of one parameter, flat: on the device, and in host memory their float32 form and their moments."""

    on_device: Tensor
    master: Tensor
    moments: tuple[Tensor, Tensor]
    update_number: int
    group: Mapping[str, Any]


class HostAdamW(MemorySavingAdamW):
    """AdamW as `torch.optim.AdamW(fused=True)` computes it on a CPU, bit for bit.

    Beside float32 weights on a CPU nothing is kept; otherwise the float32 form of every weight is, so that bfloat16
    weights (`bf16_corrected`) lose nothing. It is no part of the state: checkpoints have it as the weights themselves,
    and whoever restores one calls `set_exact_weight`.
    """

    def __init__(self, parameters: Any, **settings: Any) -> None:
        self._masters: dict[Tensor, Tensor] = {}
        self._worker = ThreadPoolExecutor(1, "host-adamw")
        self._pending: list[Future[None]] = []
        self._free: queue.SimpleQueue[_Buffers] = queue.SimpleQueue()
        self._streams: tuple[Any, Any] | None = None
        super().__init__(parameters, **settings)
        device = self._parameters()[0].device
        pinned = device.type == "cuda"
        if pinned:
            self._streams = torch.cuda.Stream(device), torch.cuda.Stream(device)
        for _ in range(BUFFERS):
            gradient, weight = (torch.empty(PIECE, pin_memory=pinned) for _ in range(2))
            self._free.put(_Buffers(gradient, weight))
        self._float_gradient = torch.empty(CACHED)
        for parameter in self._parameters():
            self._master(parameter)

    def exact_weight(self, parameter: nn.Parameter) -> Tensor:
        return self._master(parameter)

    @torch.no_grad()
    def set_exact_weight(self, parameter: Tensor, weight: Tensor) -> None:
        self._master(parameter).copy_(weight)
        stored = local_part(parameter.detach())
        stored.copy_(_as_stored(weight, stored.dtype))

    def _master(self, parameter: Tensor) -> Tensor:
        """The float32 form of this rank's part of a parameter, in host memory."""
        if parameter not in self._masters:
            self._masters[parameter] = local_part(parameter.detach()).to("cpu", torch.float32)  # itself, if it is so
        return self._masters[parameter]

    def _new_state(self, parameter: Tensor) -> dict[str, Tensor]:
        shape = local_part(parameter.detach()).shape
        return {
            "step": torch.zeros((), dtype=torch.int64),
            "exp_avg": torch.zeros(shape),
            "exp_avg_sq": torch.zeros(shape),
        }

    @torch.no_grad()
    def step(  # pyright: ignore[reportIncompatibleMethodOverride] (no closure, so no loss)
        self, closure: None = None
    ) -> None:
        """Update every parameter that has a gradient, and wait until every weight has its new value."""
        super().step()
        pending, self._pending = self._pending, []
        for future in pending:
            future.result()
        if self._streams is not None:
            torch.cuda.current_stream().wait_stream(self._streams[1])

    def _update(self, parameter: nn.Parameter, gradient: Tensor) -> None:
        """Send the pieces of a gradient to the host; the worker does the rest."""
        update_number = self._next_update(parameter)
        state, group = self.state[parameter], dict(self._group[parameter])
        on_device, gradients = local_part(parameter.detach()).view(-1), gradient.reshape(-1)
        master = self._master(parameter).view(-1)
        moments = state["exp_avg"].view(-1), state["exp_avg_sq"].view(-1)
        ready = None if self._streams is None else torch.cuda.current_stream().record_event()
        for start in range(0, master.numel(), PIECE):
            part = slice(start, start + PIECE)
            piece = _Piece(on_device[part], master[part], (moments[0][part], moments[1][part]), update_number, group)
            buffers = self._free.get()
            arrived = self._send(gradients[part], buffers, ready)
            self._pending.append(self._worker.submit(self._update_piece, piece, gradients.dtype, buffers, arrived))

    def _send(self, gradient: Tensor, buffers: _Buffers, ready: Any) -> Any:
        """Copy a gradient into the buffer. Returns the CUDA event after which it is there."""
        into = buffers.gradient.view(gradient.dtype)[: gradient.numel()]
        if self._streams is None:
            into.copy_(gradient)
            return None
        with torch.cuda.stream(self._streams[0]):
            self._streams[0].wait_event(ready)
            into.copy_(gradient, non_blocking=True)
            gradient.record_stream(self._streams[0])
            return self._streams[0].record_event()

    @torch.no_grad()
    def _update_piece(self, piece: _Piece, dtype: torch.dtype, buffers: _Buffers, arrived: Any) -> None:
        """Update a piece in host memory and send its weights back. Runs in the worker."""
        try:
            for event in (arrived, buffers.returned):
                if event is not None:
                    event.synchronize()
            size = piece.master.numel()
            gradient = buffers.gradient.view(dtype)[:size]
            sent = buffers.weight.view(piece.on_device.dtype)[:size]
            is_own = piece.master.data_ptr() == piece.on_device.data_ptr()
            for start in range(0, size, CACHED):
                part = slice(start, start + CACHED)
                self._fused(piece, gradient[part], part)
                if not is_own:
                    sent[part].copy_(_as_stored(piece.master[part], sent.dtype))
            if not is_own:
                with contextlib.nullcontext() if self._streams is None else torch.cuda.stream(self._streams[1]):
                    piece.on_device.copy_(sent, non_blocking=True)
            buffers.returned = None if self._streams is None else self._streams[1].record_event()
        finally:
            self._free.put(buffers)

    def _fused(self, piece: _Piece, gradient: Tensor, part: slice) -> None:
        if gradient.dtype != torch.float32:
            gradient = self._float_gradient[: gradient.numel()].copy_(gradient)
        beta1, beta2 = piece.group["betas"]
        torch._fused_adamw_(  # pyright: ignore[reportPrivateImportUsage] (torch.optim wraps it for whole parameters)
            [piece.master[part]],
            [gradient],
            [piece.moments[0][part]],
            [piece.moments[1][part]],
            [],
            [torch.tensor(float(piece.update_number))],
            lr=piece.group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=piece.group["weight_decay"],
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )


def _as_stored(exact: Tensor, dtype: torch.dtype) -> Tensor:
    """The form in which a parameter of this type holds float32 weights. They are rounded to bfloat16 in the same way as
    `load_policy` rounds them, so that policy and reference are equal before the first update."""
    return nearest_bfloat16(exact) if dtype == torch.bfloat16 else exact
