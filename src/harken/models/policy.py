"""The model that a run trains, its frozen copy, and how it computes.

Training loops load their policy here: the chosen parts become trainable, or get LoRA adapters. `frozen_copy` makes the
reference model of the KL term.
"""

import contextlib
import copy
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harken.config import ModelConfig
from harken.config.memory import Weights
from harken.errors import ConfigError
from harken.models.architectures import architecture_class, resolve_checkpoint
from harken.models.audio_lm import AudioLM
from harken.models.loading import checkpoint_errors, load_model, pick_device
from harken.models.lora import add_adapters, is_adapter
from harken.models.precision import is_stored_in_bfloat16, round_stochastically, split_float32, stays_float32
from harken.models.sharding import is_sharded


def load_policy(config: ModelConfig, trained_dtype: torch.dtype = torch.float32) -> AudioLM:
    """Load a checkpoint for training. The chosen parts train, stored as `trained_dtype`, or have adapters."""
    return load_policy_exactly(config, "float32" if trained_dtype == torch.float32 else "bf16_corrected")[0]


def load_policy_exactly(
    config: ModelConfig, weights: Weights, *, seed: int = 0, warn: Callable[[str], None] = lambda line: None
) -> tuple[AudioLM, dict[str, Tensor]]:
    """Load a checkpoint for training, without rounding what trains.

    A checkpoint that is an adapter itself is merged into its base in float32 first. Weights are put into the form in
    which they are kept while they are in host memory, because the device might not hold the model in float32.

    Args:
        weights: `memory.weights` of the recipe.
        seed: for rounding with bf16_stochastic.
        warn: called with a sentence where weights are rounded.

    Returns:
        The policy, and with bf16_corrected the bits that each trained bfloat16 lacks, by name, in host memory.
    """
    device = pick_device(config.device)
    path = resolve_checkpoint(config.path)
    frozen_dtype = getattr(torch, config.frozen_dtype) if weights == "float32" else torch.bfloat16
    needs_bfloat16 = weights != "float32" or frozen_dtype == torch.bfloat16
    load_dtype = torch.bfloat16 if needs_bfloat16 and _holds_bfloat16(path, config.architecture) else torch.float32
    policy = load_model(path, dtype=load_dtype, device="cpu", architecture=config.architecture)
    torch.backends.cuda.enable_cudnn_sdp(config.cudnn_attention)
    _choose_what_trains(policy, config)
    corrections: dict[str, Tensor] = {}
    rounded = {"trained": 0, "frozen": 0}
    for name, parameter in policy.module.named_parameters():
        before = parameter.data
        if not parameter.requires_grad:
            parameter.data = before.to(torch.float32 if stays_float32(policy.module, name) else frozen_dtype)
        elif weights == "float32":
            parameter.data = before.float()
        elif weights == "bf16_corrected":
            parameter.data, corrections[name] = split_float32(before.float())
            continue
        else:
            parameter.data = round_stochastically(before.float(), _noise(before.shape, f"{seed},{name}"))
        kind = "trained" if parameter.requires_grad else "frozen"
        rounded[kind] += _count_rounded(before, parameter.data)
    if rounded["trained"]:
        warn(
            f"memory.weights: {weights} rounded {rounded['trained']} trained weights of {config.path}, which are finer "
            "than bfloat16, at random; bf16_corrected keeps them"
        )
    if rounded["frozen"]:
        warn(
            f"{rounded['frozen']} weights of {config.path} that do not train are finer than bfloat16 and were rounded; "
            "model.frozen_dtype: float32 with memory.weights: float32 keeps them"
        )
    policy.module.to(device)
    switch_off_dropout(policy.module)
    if config.gradient_checkpointing:
        enable_gradient_checkpointing(policy.module)
    return policy, corrections


def _holds_bfloat16(path: str, architecture: str | None) -> bool:
    """Whether loading in bfloat16 loses nothing. The sum of a base and an adapter is finer."""
    if is_adapter(Path(path)):
        return False
    with checkpoint_errors(path):
        return is_stored_in_bfloat16(path, architecture_class(path, architecture).module_class)


def _choose_what_trains(policy: AudioLM, config: ModelConfig) -> None:
    parts = {
        "audio_tower": config.train_audio_tower,
        "projector": config.train_projector,
        "language_model": config.train_language_model,
    }
    if config.train_router and not policy.routers:
        raise ConfigError(f"model.train_router: {config.path} has no router; only a mixture of experts has one")
    if config.lora is None:
        policy.set_trainable(**parts, router=config.train_router)
        return
    base = str(Path(config.path).resolve()) if Path(config.path).exists() else config.path
    add_adapters(policy, resolve_checkpoint(base), rank=config.lora.rank, alpha=config.lora.alpha, **parts)


def _noise(shape: torch.Size, name: str) -> Tensor:
    """int32 in [0, 65536), for `round_stochastically`; it follows from the name."""
    key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") & (2**63 - 1)
    return torch.randint(0, 1 << 16, shape, dtype=torch.int32, generator=torch.Generator().manual_seed(key))


def _count_rounded(before: Tensor, after: Tensor) -> int:
    return 0 if before.dtype == after.dtype else int((before.float() != after.float()).sum())


def switch_off_dropout(module: nn.Module) -> None:
    """Set every dropout of a model to 0, whatever its config says, also that of whole layers.

    With dropout, the model that samples and the model that is updated would be two policies, in train mode alone. Train
    mode stays possible, because checkpointing needs it. The config of the module stays as it is.
    """
    for part in module.modules():
        if isinstance(part, nn.modules.dropout._DropoutNd):
            part.p = 0.0
        for name, value in vars(part).items():
            if isinstance(value, float) and ("dropout" in name or "layerdrop" in name):
                setattr(part, name, 0.0)


def frozen_copy(policy: AudioLM) -> AudioLM:
    """A copy of the policy as it is now, which never trains: the reference of the KL term. Weights that do not train in
    the policy either are shared."""
    shared = {id(parameter): parameter for parameter in policy.module.parameters() if not parameter.requires_grad}
    reference = copy.deepcopy(policy, shared)
    reference.module.eval().requires_grad_(False)
    return reference


def mixed_precision(model: AudioLM, precision: str) -> contextlib.AbstractContextManager:
    """bf16_mixed: autocast to bfloat16 over float32 weights. float32: no autocast.

    Autocast keeps no bfloat16 copies of the weights of a sharded model. A copy that an earlier pass made is older than
    the pass that uses it, so autograd would go through it last, when FSDP has sent the block's gradients already. They
    would be sent with those of the next pass and miss the step if there is none, and ranks with and without such a copy
    would communicate in different orders.

    On CUDA this costs nothing: parameters are gathered in bfloat16, of which autocast makes no copies. On CPU ranks
    they are gathered in float32, and every product rounds its weight again. A rollout does so for each token, although
    its weights stay as they are: of every weight 4 bytes are read and 2 written, beside the 2 that the product reads.
    With few rows, where a token takes the time of reading the weights, decoding is several times as long.
    """
    enabled, keeps_copies = precision == "bf16_mixed", not is_sharded(model)
    return torch.autocast(model.device.type, torch.bfloat16, enabled=enabled, cache_enabled=keeps_copies)


def enable_gradient_checkpointing(module: nn.Module) -> None:
    """Recompute each layer in the backward pass. Acts in train mode only."""
    renamed = getattr(module, "activation_checkpointing_enable", None)  # the name since transformers 5.23
    enable: Any = renamed or getattr(module, "gradient_checkpointing_enable", None)
    enable({"use_reentrant": False})
