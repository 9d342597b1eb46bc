"""A model whose parameters lie in parts on all ranks (FSDP2), behind the same `AudioLM`.

Takes a model that every rank has loaded alike, gives it sharded in place: each block of the tower and of the language
model is gathered when it runs and freed after, embeddings and head by themselves, what is left (norms, convolutions,
projector) with the root. The model's own methods bypass the root's forward, so they are registered as forwards of it.
Gradients are summed over the ranks, never averaged: the loss has the whole step's denominator already. Not taken:
FSDP's prefetch in the order of the last forward passes, which differs between ranks whose rollouts were ragged.
"""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from harken.models.audio_lm import AudioLM, ModelInput

METHODS = ("encode_audio", "embed_tokens", "hidden", "logits")
"""The methods of an `AudioLM` that read weights."""


def gather_dtype(precision: str, device_type: str) -> torch.dtype | None:
    """In which parameters are gathered; None = as they are stored. bfloat16 is half the bytes, and what autocast would
    round them to; on a CPU autocast leaves layer norms alone, which then refuse weights coarser than their input."""
    return torch.bfloat16 if precision == "bf16_mixed" and device_type == "cuda" else None


def shard(model: AudioLM, mesh: DeviceMesh, parameter_dtype: torch.dtype | None) -> None:
    """Shard over all ranks of the mesh, on its kind of device. No communication.

    Args:
        parameter_dtype: as `gather_dtype` says. The residual stream, the shards and the sums of gradients stay float32.
    """
    settings: dict[str, Any] = {
        "mesh": mesh,
        "mp_policy": MixedPrecisionPolicy(
            param_dtype=parameter_dtype,
            reduce_dtype=torch.float32,
            output_dtype=None if parameter_dtype is None else torch.float32,
            cast_forward_inputs=False,
        ),
    }
    chains = [list(_blocks(model, part)) for part in ("audio_tower", "language_model")]
    for chain in chains:
        for block in chain:
            fully_shard(block, **settings)
    ends = _ends(model)
    for end in ends:
        fully_shard(end, **settings, reshard_after_forward=False)
    fully_shard(model.module, **settings, reshard_after_forward=False)
    for unit in units(model):
        unit.set_gradient_divide_factor(1.0)
        unit.set_force_sum_reduction_for_comms(True)
        unit.set_modules_to_backward_prefetch([unit])  # itself: nothing beforehand
    for chain in chains:
        for before, block in itertools.pairwise(chain):
            block.set_modules_to_backward_prefetch([before])
    _register(model)


def units(model: AudioLM) -> list[FSDPModule]:
    """What is gathered by itself; none of a model that is not sharded."""
    return [module for module in model.module.modules() if isinstance(module, FSDPModule)]


def is_sharded(model: AudioLM) -> bool:
    return isinstance(model.module, FSDPModule)


@contextlib.contextmanager
def gathered(*models: AudioLM | None) -> Iterator[None]:
    """Whole parameters on every rank until the block ends, gathered once. Inside, ranks may differ in what they run."""
    found = [unit for model in models if model is not None for unit in units(model)]
    freed = [not any(unit is end for model in models if model is not None for end in _kept(model)) for unit in found]
    for unit in found:
        unit.set_reshard_after_forward(False, recurse=False)
        unit.unshard()
    try:
        yield
    finally:
        for unit, frees in zip(found, freed, strict=True):
            unit.set_reshard_after_forward(frees, recurse=False)
            unit.reshard()


def reshard(model: AudioLM | None) -> None:
    """Free what a pass without a backward pass leaves whole: embeddings, head and the root's parameters."""
    if model is not None:
        for unit in _kept(model):
            unit.reshard()


def silent_input(model: AudioLM) -> ModelInput:
    """The shortest prompt with a clip, for a rank that has nothing to hear when the others have."""
    conversation = [{"role": "user", "content": [{"type": "audio"}]}]
    return model.render(conversation, np.zeros(model.min_samples, dtype=np.float32))


def drop_audio_gradients(model: AudioLM) -> None:
    """After a step in which no rank heard a clip: leave tower and projector without gradients, as one process does. An
    optimizer with momentum moves weights whose gradient is zero."""
    for part in ("audio_tower", "projector"):
        for parameter in model.parts[part].parameters():
            parameter.grad = None


def gather_tensor(value: Any, *, keep: bool) -> Any:
    """A tensor as one process would hold it, on the CPU; all ranks take part, and those that do not `keep` it get an
    empty one. Other values as they are."""
    if not isinstance(value, DTensor):
        return value
    found = value.full_tensor()
    return found.cpu() if keep else torch.empty(0)


def distribute_like(value: Tensor, like: Tensor) -> Tensor:
    """A whole tensor that every rank has, in the parts in which `like` lies; no communication."""
    if not isinstance(like, DTensor):
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def gather_weights(model: AudioLM, *, keep: bool) -> dict[str, Tensor] | None:
    """What `AudioLM.save` takes: all weights, or the trained ones of a model with adapters; ranks as in
    `gather_tensor`. None for a model that is not sharded."""
    if not is_sharded(model):
        return None
    source = model.module if model.adapters is None else model.adapters
    trained = {name for name, parameter in source.named_parameters() if parameter.requires_grad}
    state = source.state_dict()
    return {name: gather_tensor(state[name], keep=keep) for name in state if model.adapters is None or name in trained}


def _blocks(model: AudioLM, part: str) -> Sequence[Any]:
    layers = model.parts[part].layers
    assert isinstance(layers, nn.ModuleList)
    return list(layers)


def _ends(model: AudioLM) -> list[nn.Module]:
    """Embeddings and head; tied ones stay with the root, whose group holds a shared parameter once."""
    module: Any = model.module
    embeddings, head = module.get_input_embeddings(), module.get_output_embeddings()
    return [] if head.weight is embeddings.weight else [embeddings, head]


def _kept(model: AudioLM) -> list[FSDPModule]:
    """Units that stay whole from a forward pass to its backward pass: each is called more than once in between."""
    module: Any = model.module
    ends = (module.get_input_embeddings(), module.get_output_embeddings(), module)
    return [unit for unit in ends if isinstance(unit, FSDPModule)]


def _register(model: AudioLM) -> None:
    """Make the model's methods forwards of the root, so that it gathers its own parameters for them."""
    pieces = model.encode_audio
    # Views of one tensor, which FSDP warns of: it watches what a forward returns.
    model.encode_audio = lambda inputs: [None if piece is None else piece.clone() for piece in pieces(inputs)]
    for name in METHODS:
        setattr(model.module, f"_{name}", getattr(model, name))
        register_fsdp_forward_method(model.module, f"_{name}")
        setattr(model, name, getattr(model.module, f"_{name}"))
    encode, nothing = model.encode_audio, silent_input(model)

    def encode_audio(inputs: Sequence[ModelInput]) -> list[Tensor | None]:
        """Every rank runs the tower whenever one does: one that has no clip hears silence, and puts none of it into its
        first prompt. Its gradients are zero."""
        if any(one.features is not None for one in inputs):
            return encode(inputs)
        (heard,) = encode([nothing])
        assert heard is not None
        return [heard[:0], *(None for _ in inputs[1:])]

    model.encode_audio = encode_audio
