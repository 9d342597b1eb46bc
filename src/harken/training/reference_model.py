"""The reference of the KL term: the policy as the run found it, kept as the memory section says.

Takes the policy before its first update, gives another `AudioLM` that is never trained; weights that do not train are
shared with the policy in every mode. copy: the rest once more. streamed: the rest of the blocks in host memory, one
block brought to the device for its turn, the next one on its way meanwhile. int8: the rest of the linear layers in 8
bits.

Not taken: torchao's int8 weights, which pass autocast by and multiply in the input's type, and offloading by
accelerate, which has no block on its way while another one works. "Adapters off" is not needed: with adapters `copy`
holds theirs alone.
"""

import copy
from collections.abc import Iterator
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harken.models.audio_lm import AudioLM
from harken.models.policy import frozen_copy


def make_reference(policy: AudioLM, mode: Literal["copy", "streamed", "int8"]) -> AudioLM:
    match mode:
        case "copy":
            return frozen_copy(policy)
        case "streamed":
            return streamed_copy(policy)
        case "int8":
            return int8_copy(policy)


def streamed_copy(policy: AudioLM) -> AudioLM:
    """As `frozen_copy`, bit for bit, with the trained weights of the tower's and the language model's blocks in host
    memory. Embedding, head, projector and convolutions stay on the device: small, or called many times a pass."""
    blocks = HostBlocks(policy.device)
    own = {id(parameter): parameter for parameter in policy.module.parameters() if not parameter.requires_grad}
    for block in _blocks(policy):
        own |= blocks.take([parameter for parameter in block.parameters() if parameter.requires_grad])
    reference = copy.deepcopy(policy, own)
    reference.module.eval().requires_grad_(False)
    index = 0
    for block in _blocks(reference):
        if blocks.holds(index, block):
            block.register_forward_pre_hook(blocks.arrival(index))
            block.register_forward_hook(blocks.departure(index), always_call=True)
            index += 1
    return reference


def _blocks(model: AudioLM) -> Iterator[nn.Module]:
    """In the order of a pass."""
    for part in ("audio_tower", "language_model"):
        layers = model.parts[part].layers
        assert isinstance(layers, nn.ModuleList)
        yield from layers


class HostBlocks:
    """Blocks of parameters in host memory, of which one is on the device, and on CUDA the next one on its way."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._bytes: list[Tensor] = []
        self._parameters: list[list[nn.Parameter]] = []
        self._idle: list[list[Tensor]] = []
        self._coming: dict[int, tuple[Tensor, Any]] = {}

    @torch.no_grad()
    def take(self, parameters: list[nn.Parameter]) -> dict[int, nn.Parameter]:
        """Copy one block's parameters to host memory. Returns id -> what stands in its place: of its type, shape and
        device, without memory of its own."""
        if not parameters:
            return {}
        sizes = [parameter.numel() * parameter.element_size() for parameter in parameters]
        # One run of bytes a block: one transfer.
        kept = torch.empty(sum(sizes), dtype=torch.uint8, pin_memory=self._stream is not None)
        for place, parameter in zip(kept.split(sizes), parameters, strict=True):
            place.view(parameter.dtype).copy_(parameter.flatten())
        idle = [torch.zeros((), dtype=p.dtype, device=p.device).expand(p.shape) for p in parameters]
        stand_ins = [nn.Parameter(one, requires_grad=False) for one in idle]
        self._bytes.append(kept)
        self._parameters.append(stand_ins)
        self._idle.append(idle)
        return {id(parameter): stand_in for parameter, stand_in in zip(parameters, stand_ins, strict=True)}

    def holds(self, index: int, block: nn.Module) -> bool:
        """Whether block `index` taken is this one's."""
        own = {id(parameter) for parameter in block.parameters()}
        return index < len(self._parameters) and id(self._parameters[index][0]) in own

    def arrival(self, index: int):
        def arrive(block: nn.Module, inputs: tuple) -> None:
            there, event = self._coming.pop(index, None) or self._send(index)
            self._coming.clear()  # of a pass that was broken off
            if event is not None:
                here = torch.cuda.current_stream(self._device)
                here.wait_event(event)
                there.record_stream(here)
                if index + 1 < len(self._bytes):
                    self._coming[index + 1] = self._send(index + 1)
            self._fill(index, there)

        return arrive

    def departure(self, index: int):
        def depart(block: nn.Module, inputs: tuple, output: object) -> None:
            for parameter, idle in zip(self._parameters[index], self._idle[index], strict=True):
                parameter.data = idle

        return depart

    def _send(self, index: int) -> tuple[Tensor, Any]:
        """A block's bytes on the device, and on CUDA the event after which they are there."""
        if self._stream is None:
            return self._bytes[index].to(self._device, copy=True), None
        with torch.cuda.stream(self._stream):
            there = self._bytes[index].to(self._device, non_blocking=True)
        return there, self._stream.record_event()

    def _fill(self, index: int, there: Tensor) -> None:
        start = 0
        for parameter in self._parameters[index]:
            end = start + parameter.numel() * parameter.element_size()
            parameter.data = there[start:end].view(parameter.dtype).view(parameter.shape)
            start = end


class Int8Linear(nn.Module):
    """A linear layer of 8-bit weights with one scale a row, made whole for each use in the type of its input."""

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, codes: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("weight", codes)
        self.register_buffer("scale", scale)
        self.register_buffer("bias", bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.weight.to(self.scale.dtype) * self.scale, self.bias)


def int8_copy(policy: AudioLM) -> AudioLM:
    """As `frozen_copy`, with the linear layers that train in 8 bits."""
    own = {id(parameter): parameter for parameter in policy.module.parameters() if not parameter.requires_grad}
    embedded = {id(module.weight) for module in policy.module.modules() if isinstance(module, nn.Embedding)}
    scales: dict[int, Tensor] = {}
    for module in policy.module.modules():
        weight = getattr(module, "weight", None)
        # A head whose weights are the embedding's too stays as it is.
        if isinstance(module, nn.Linear) and module.weight.requires_grad and id(weight) not in embedded:
            codes, scale = quantized(module.weight.detach())
            own[id(module.weight)] = nn.Parameter(codes, requires_grad=False)
            scales[id(own[id(module.weight)])] = scale
    reference = copy.deepcopy(policy, own)
    for parent in list(reference.module.modules()):
        for name, module in list(parent.named_children()):
            if isinstance(module, nn.Linear) and id(module.weight) in scales:
                bias = None if module.bias is None else module.bias.detach()
                setattr(parent, name, Int8Linear(module.weight.detach(), scales[id(module.weight)], bias))
    reference.module.eval().requires_grad_(False)
    return reference


def quantized(weight: Tensor) -> tuple[Tensor, Tensor]:
    """[out, in] -> (int8 codes, [out, 1] scale): the nearest of 255 numbers, the largest of a row exactly."""
    scale = weight.abs().amax(1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny) / 127
    return (weight / scale).round().clamp(-127, 127).to(torch.int8), scale
