"""The reference model of the KL term: the policy as it is before its first update, never trained.

Weights that do not train are shared with the policy. `memory.reference` says how the others are kept:
    copy      a second time on the device
    streamed  in host memory, block by block; each block is brought to the device for its turn: by `StreamedBlocks` on
              one process, by FSDP on several, where each rank keeps its part of every block
    int8      linear layers in 8 bits (`Int8Linear`), the rest as in copy
Under bf16_mixed the weights of `copy` and `streamed` are kept in bfloat16 where that changes no bit of a result.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harken.config.memory import ReferenceForm
from harken.models.audio_lm import AudioLM
from harken.models.experts import CAST_BY_AUTOCAST


def make_reference(
    policy: AudioLM,
    mode: ReferenceForm,
    *,
    mixed: bool = False,
    will_be_sharded: bool = False,
) -> AudioLM:
    """A frozen copy of the policy as it is now.

    Args:
        mixed: the reference is used under autocast to bfloat16.
        will_be_sharded: the reference is given to `shard`, which then keeps the blocks of `streamed` in host memory.
    """
    memo = _frozen_parameters(policy)
    if mixed and policy.adapters is None:
        memo |= _bfloat16_weights(policy)
    match mode:
        case "streamed" if not will_be_sharded:
            reference = _streamed_copy(policy, memo)
        case "int8":
            reference = _int8_copy(policy, memo)
        case _:
            reference = copy.deepcopy(policy, memo)
    reference.module.eval().requires_grad_(False)
    if _embedding(policy).weight.dtype == torch.float32 and _embedding(reference).weight.dtype == torch.bfloat16:
        # What is passed from block to block stays float32, as in the policy.
        _embedding(reference).register_forward_hook(lambda module, inputs, output: output.float())
    return reference


def _embedding(model: AudioLM) -> nn.Embedding:
    module: Any = model.module
    return module.get_input_embeddings()


def _frozen_parameters(policy: AudioLM) -> dict[int, nn.Parameter]:
    """The parameters that policy and reference share, as the memo of `copy.deepcopy`."""
    return {id(parameter): parameter for parameter in policy.module.parameters() if not parameter.requires_grad}


def _bfloat16_weights(policy: AudioLM) -> dict[int, nn.Parameter]:
    """Trained float32 weights that give the same bits in bfloat16, as the memo of `copy.deepcopy`.

    Autocast rounds the weights of linear layers, convolutions and experts to bfloat16 before each product in any case.
    Those of an embedding may be kept so where they have no finer bits, as in every published checkpoint.
    """
    memo: dict[int, nn.Parameter] = {}
    kept_fine: set[int] = set()
    for module in policy.module.modules():
        if not isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Embedding, *CAST_BY_AUTOCAST)):
            continue
        for parameter in module.parameters(recurse=False):
            if not parameter.requires_grad or parameter.dtype != torch.float32 or id(parameter) in kept_fine:
                continue
            coarse = parameter.detach().to(torch.bfloat16)
            if isinstance(module, nn.Embedding) and not torch.equal(coarse.float(), parameter.detach()):
                kept_fine.add(id(parameter))  # also where the head shares it
                memo.pop(id(parameter), None)
            elif id(parameter) not in memo:
                memo[id(parameter)] = nn.Parameter(coarse, requires_grad=False)
    return memo


def _streamed_copy(policy: AudioLM, memo: dict[int, nn.Parameter]) -> AudioLM:
    """A copy whose numbers are those of the plain copy, bit for bit.

    The trained weights of the blocks of tower and language model are in host memory. Embedding, head, projector and
    convolutions stay on the device, because they are small or are called many times in a pass.
    """
    blocks = StreamedBlocks(policy.device)
    for block in _blocks(policy):
        trained = [parameter for parameter in block.parameters() if parameter.requires_grad]
        kept = [memo.get(id(parameter), parameter) for parameter in trained]
        for parameter, placeholder in zip(trained, blocks.add(kept), strict=True):
            memo[id(parameter)] = placeholder
    reference = copy.deepcopy(policy, memo)
    index = 0
    for block in _blocks(reference):
        if blocks.belongs_to(index, block):
            block.register_forward_pre_hook(blocks.load_hook(index))
            block.register_forward_hook(blocks.unload_hook(index), always_call=True)
            index += 1
    return reference


def _blocks(model: AudioLM) -> Iterator[nn.Module]:
    """In the order in which a pass calls them."""
    for part in ("audio_tower", "language_model"):
        layers = model.parts[part].layers
        assert isinstance(layers, nn.ModuleList)
        yield from layers


class StreamedBlocks:
    """Blocks of parameters in host memory. One of them is on the device at a time; on CUDA the next one is copied
    meanwhile."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._bytes: list[Tensor] = []
        self._parameters: list[list[nn.Parameter]] = []
        self._placeholders: list[list[Tensor]] = []
        self._under_way: dict[int, tuple[Tensor, Any]] = {}

    @torch.no_grad()
    def add(self, parameters: list[nn.Parameter]) -> list[nn.Parameter]:
        """Copy one block's parameters to host memory.

        Returns the parameters that replace them: of the same types, shapes and device, but without memory of their own.
        """
        if not parameters:
            return []
        sizes = [parameter.numel() * parameter.element_size() for parameter in parameters]
        # The bytes of a block are contiguous, so that one transfer moves them.
        block_bytes = torch.empty(sum(sizes), dtype=torch.uint8, pin_memory=self._stream is not None)
        for part, parameter in zip(block_bytes.split(sizes), parameters, strict=True):
            part.view(parameter.dtype).copy_(parameter.flatten())
        placeholders = [torch.zeros((), dtype=p.dtype, device=p.device).expand(p.shape) for p in parameters]
        replacements = [nn.Parameter(placeholder, requires_grad=False) for placeholder in placeholders]
        self._bytes.append(block_bytes)
        self._parameters.append(replacements)
        self._placeholders.append(placeholders)
        return replacements

    def belongs_to(self, index: int, block: nn.Module) -> bool:
        """Whether the parameters that were added as number `index` are this block's."""
        own = {id(parameter) for parameter in block.parameters()}
        return index < len(self._parameters) and id(self._parameters[index][0]) in own

    def load_hook(self, index: int) -> Callable[[nn.Module, tuple], None]:
        """A hook that puts the block's weights in place before it runs."""

        def load(block: nn.Module, inputs: tuple) -> None:
            device_bytes, event = self._under_way.pop(index, None) or self._send(index)
            self._under_way.clear()  # what a pass that was broken off has left
            if event is not None:
                stream = torch.cuda.current_stream(self._device)
                stream.wait_event(event)
                device_bytes.record_stream(stream)
                if index + 1 < len(self._bytes):
                    self._under_way[index + 1] = self._send(index + 1)
            self._point_parameters_at(device_bytes, index)

        return load

    def unload_hook(self, index: int) -> Callable[[nn.Module, tuple, object], None]:
        """A hook that frees the block's weights on the device after it ran."""

        def unload(block: nn.Module, inputs: tuple, output: object) -> None:
            for parameter, placeholder in zip(self._parameters[index], self._placeholders[index], strict=True):
                parameter.data = placeholder

        return unload

    def _send(self, index: int) -> tuple[Tensor, Any]:
        """(a block's bytes on the device, the CUDA event after which they are complete; None on a CPU)."""
        if self._stream is None:
            return self._bytes[index].to(self._device, copy=True), None
        with torch.cuda.stream(self._stream):
            device_bytes = self._bytes[index].to(self._device, non_blocking=True)
        return device_bytes, self._stream.record_event()

    def _point_parameters_at(self, device_bytes: Tensor, index: int) -> None:
        start = 0
        for parameter in self._parameters[index]:
            end = start + parameter.numel() * parameter.element_size()
            parameter.data = device_bytes[start:end].view(parameter.dtype).view(parameter.shape)
            start = end


class Int8Linear(nn.Module):
    """A linear layer of 8-bit weights with one scale for each row. Each use multiplies them out in the scale's type.

    Codes and scales are parameters that never train, so that they can be sharded.
    """

    def __init__(self, codes: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight, self.scale = (nn.Parameter(part, requires_grad=False) for part in (codes, scale))
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.whole_weight(), self.bias)

    def whole_weight(self) -> Tensor:
        """[out, in], in the scale's type."""
        return self.weight.to(self.scale.dtype) * self.scale


def _int8_copy(policy: AudioLM, memo: dict[int, nn.Parameter]) -> AudioLM:
    """A copy with the trained linear layers in 8 bits."""
    embeddings = {id(module.weight) for module in policy.module.modules() if isinstance(module, nn.Embedding)}
    scales: dict[int, Tensor] = {}
    for module in policy.module.modules():
        weight = getattr(module, "weight", None)
        # A head that shares its weights with the embedding stays as it is.
        if isinstance(module, nn.Linear) and module.weight.requires_grad and id(weight) not in embeddings:
            codes, scale = quantize_rows(module.weight.detach())
            memo[id(module.weight)] = nn.Parameter(codes, requires_grad=False)
            scales[id(memo[id(module.weight)])] = scale
    reference = copy.deepcopy(policy, memo)
    for parent in list(reference.module.modules()):
        for name, module in list(parent.named_children()):
            if isinstance(module, nn.Linear) and id(module.weight) in scales:
                bias = None if module.bias is None else module.bias.detach()
                setattr(parent, name, Int8Linear(module.weight.detach(), scales[id(module.weight)], bias))
    return reference


def quantize_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """[out, in] -> (int8 codes, [out, 1] scale). The largest number of a row is exact, the others are rounded to the
    nearest of 255 values."""
    scale = weight.abs().amax(1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny) / 127
    return (weight / scale).round().clamp(-127, 127).to(torch.int8), scale
