"""A model whose parameters lie in parts on all ranks (FSDP2), behind the same `AudioLM` protocol.

`shard` makes a `ShardedAudioLM` of a model that every rank has loaded alike. Each block of the tower and of the
language model is gathered when it runs and freed afterwards. Embeddings and head are gathered by themselves, and the
rest (norms, convolutions, projector) with the root. Gradients are summed over the ranks and never averaged, because the
loss is divided by the totals of the whole step already.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import (
    CPUOffloadPolicy,
    FSDPModule,
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from transformers import Cache

from harken.models.audio_lm import AudioLM, ModelInput
from harken.models.sharded_tensors import gather_tensor
from harken.models.shared_prefix import SharedPrefix


class ShardedAudioLM:
    """See `AudioLM` for what each method promises. Methods that read parameters run inside the root, which gathers its
    own parameters for them."""

    def __init__(self, model: AudioLM, root: "_Root") -> None:
        self._model, self._root = model, root
        self._silence = silent_input(model)
        self.module, self.adapters, self.arch = model.module, model.adapters, model.arch
        self.eos_token_ids = model.eos_token_ids
        self.min_samples, self.max_samples = model.min_samples, model.max_samples
        # These methods read no parameters.
        self.render, self.prompt_length, self.new_cache = model.render, model.prompt_length, model.new_cache
        self.decode, self.encode_answer = model.decode, model.encode_answer
        self.set_trainable, self.save = model.set_trainable, model.save
        self.use_tower_cache = model.use_tower_cache

    @property
    def device(self) -> torch.device:
        return self._model.device

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        return self._model.parts

    @property
    def routers(self) -> Sequence[nn.Module]:
        return self._model.routers

    @property
    def audio_trains(self) -> bool:
        return self._model.audio_trains

    @property
    def units(self) -> list[FSDPModule]:
        """The modules that are gathered by themselves, the root first."""
        return [module for module in self._root.modules() if isinstance(module, FSDPModule)]

    @property
    def kept_units(self) -> list[FSDPModule]:
        """The units that stay gathered from a forward pass to its backward pass, because each is called more than once
        in between."""
        modules = (*_embeddings_and_head(self._model), self._root)
        return [module for module in modules if isinstance(module, FSDPModule)]

    def encode_audio(self, inputs: Sequence[ModelInput]) -> list[Tensor | None]:
        if all(prompt.features is None for prompt in inputs):
            return self._encode_silence(len(inputs))
        return self._encode(inputs)

    def _encode(self, inputs: Sequence[ModelInput]) -> list[Tensor | None]:
        def encode() -> list[Tensor | None]:
            # Copies, because FSDP warns where a forward pass returns several views of one tensor.
            return [None if piece is None else piece.clone() for piece in self._model.encode_audio(inputs)]

        return self._root(encode)

    def _encode_silence(self, prompts: int) -> list[Tensor | None]:
        """Run the tower on silence, because other ranks may run theirs on clips and wait for this one. The first prompt
        gets none of the resulting features: an empty tensor that carries the graph, with gradients of zero."""
        (features,) = self._encode([self._silence])
        assert features is not None
        return [features[:0], *[None] * (prompts - 1)]

    def embed(self, inputs: Sequence[ModelInput], audio: Sequence[Tensor | None]) -> list[Tensor]:
        # Not as arguments of the root: FSDP would send the root's gradients once more when `audio` gets its gradient.
        return self._root(lambda: [_with_gradient(prompt) for prompt in self._model.embed(inputs, audio)])

    def embed_tokens(self, token_ids: Tensor) -> Tensor:
        return self._root(self._model.embed_tokens, token_ids)

    def hidden(
        self,
        embeddings: Tensor,
        positions: Tensor,
        mask: Tensor | SharedPrefix | None,
        cache: Cache | None = None,
        read: Tensor | None = None,
    ) -> Tensor:
        return self._root(self._model.hidden, embeddings, positions, mask, cache, read)

    def logits(self, hidden: Tensor) -> Tensor:
        return self._root(self._model.logits, hidden)

    def token_scores(self, hidden: Tensor, targets: Tensor, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
        head: Any = _embeddings_and_head(self._model)[1]
        if head in self.kept_units:
            return self._root(head.run, self._model.token_scores, hidden, targets, temperature)
        return self._root(self._model.token_scores, hidden, targets, temperature)  # tied: gathered with the root


def _with_gradient(embedded: Tensor) -> Tensor:
    """An embedded prompt that gets a gradient, also where its embeddings are frozen and it has no clip.

    FSDP gathers a unit for the backward pass, and sends its gradients, when an output or an input of it gets a
    gradient. Ranks whose prompts have a clip and ranks whose prompts have none would communicate in different orders.
    """
    if embedded.requires_grad or not torch.is_grad_enabled():
        return embedded
    return embedded.requires_grad_()


class _Root(nn.Module):
    """Runs any function as its forward pass: FSDP gathers the root's parameters before and watches what it returns."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)


def gather_dtype(precision: str, weights: str, device_type: str) -> torch.dtype | None:
    """The dtype in which parameters are gathered; None = as they are stored, which for bfloat16 `memory.weights` is
    bfloat16. bfloat16 is half the bytes of float32, and autocast would round to it anyway. On a CPU autocast leaves
    layer norms alone, which then refuse weights coarser than their input."""
    return torch.bfloat16 if (precision, weights, device_type) == ("bf16_mixed", "float32", "cuda") else None


def shard(
    model: AudioLM, mesh: DeviceMesh, parameter_dtype: torch.dtype | None, *, blocks_in_host_memory: bool = False
) -> ShardedAudioLM:
    """Shard a model over all ranks of the mesh, on its kind of device. Needs no communication. `model` must not be used
    any more.

    Args:
        parameter_dtype: from `gather_dtype`. With bfloat16 the residual stream and the shards stay float32; gradients
            are summed in float32 in either case.
        blocks_in_host_memory: each rank keeps its part of every block there, and brings it to the device when the block
            is gathered.
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
    chains = [_blocks(model, part) for part in ("audio_tower", "language_model")]
    in_host_memory: dict[str, Any] = {}
    if blocks_in_host_memory:
        in_host_memory["offload_policy"] = CPUOffloadPolicy(pin_memory=mesh.device_type == "cuda")
    for block in itertools.chain(*chains):
        fully_shard(block, **settings, **in_host_memory)
    embeddings, head = _embeddings_and_head(model)
    if head.weight is not embeddings.weight:  # tied ones stay with the root, which holds a shared parameter once
        for module in (embeddings, head):
            fully_shard(module, **settings, reshard_after_forward=False)
        head.run = _run
        register_fsdp_forward_method(head, "run")
    root = _Root(model.module)
    fully_shard(root, **settings, reshard_after_forward=False)
    sharded = ShardedAudioLM(model, root)
    for unit in sharded.units:
        unit.set_gradient_divide_factor(1.0)
        unit.set_force_sum_reduction_for_comms(True)
        unit.set_modules_to_backward_prefetch([unit])  # prefetches nothing
    # FSDP would prefetch in the order of the last forward passes, which differs between ranks after ragged rollouts.
    for chain in chains:
        for before, block in itertools.pairwise(chain):
            block.set_modules_to_backward_prefetch([before])
    return sharded


def _run(function: Callable[..., Any], *arguments: Any) -> Any:
    """A forward pass of the head that uses its weights in another way than its own does."""
    return function(*arguments)


def share_frozen_parts(policy: ShardedAudioLM, reference: ShardedAudioLM) -> None:
    """Have the reference use this rank's part of every parameter that the policy does not train, instead of a second
    one."""
    frozen = {name: p.detach() for name, p in policy.module.named_parameters() if not p.requires_grad}
    reference.module.load_state_dict(frozen, strict=False, assign=True)


def _blocks(model: AudioLM, part: str) -> list[Any]:
    layers = model.parts[part].layers
    assert isinstance(layers, nn.ModuleList)
    return list(layers)


def _embeddings_and_head(model: AudioLM) -> tuple[Any, Any]:
    module: Any = model.module
    return module.get_input_embeddings(), module.get_output_embeddings()


def is_sharded(model: AudioLM) -> bool:
    return isinstance(model, ShardedAudioLM)


@contextlib.contextmanager
def gathered(*models: AudioLM | None) -> Iterator[None]:
    """Gather all parameters on every rank once, until the block ends. Inside, ranks may run different passes. Models
    that are not sharded stay as they are."""
    sharded = [model for model in models if isinstance(model, ShardedAudioLM)]
    units = [unit for model in sharded for unit in model.units]
    kept = {id(unit) for model in sharded for unit in model.kept_units}
    for unit in units:
        unit.set_reshard_after_forward(False, recurse=False)
        unit.unshard()
    try:
        yield
    finally:
        for unit in units:
            unit.set_reshard_after_forward(id(unit) not in kept, recurse=False)
            unit.reshard()


def reshard(model: AudioLM | None) -> None:
    """Free what a pass without a backward pass leaves gathered: embeddings, head and the root's parameters."""
    if isinstance(model, ShardedAudioLM):
        for unit in model.kept_units:
            unit.reshard()


def gather_weights(model: AudioLM, *, keep: bool) -> dict[str, Tensor] | None:
    """The weights that `AudioLM.save` takes: all, or the trained ones of a model with adapters. All ranks take part, as
    in `gather_tensor`. None for a model that is not sharded, which saves its own."""
    if not is_sharded(model):
        return None
    source = model.module if model.adapters is None else model.adapters
    trained = {name for name, parameter in source.named_parameters() if parameter.requires_grad}
    state = source.state_dict()
    return {name: gather_tensor(state[name], keep=keep) for name in state if model.adapters is None or name in trained}


def silent_input(model: AudioLM) -> ModelInput:
    """The shortest prompt with a clip, for a rank without a clip to encode when other ranks have one."""
    conversation = [{"role": "user", "content": [{"type": "audio"}]}]
    return model.render(conversation, np.zeros(model.min_samples, dtype=np.float32))


def audio_parameters(model: AudioLM) -> list[nn.Parameter]:
    """Those of tower and projector. On several ranks they get gradients of zero in a step in which no rank had a clip,
    and on one process none; an optimizer with momentum would move them."""
    return [parameter for part in ("audio_tower", "projector") for parameter in model.parts[part].parameters()]
