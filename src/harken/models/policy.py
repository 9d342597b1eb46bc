"""The model that a run trains, its frozen copy, and how it computes.

Training loops load their policy here: the chosen parts become trainable, or get LoRA adapters. `frozen_copy` makes the
reference model of the KL term.
"""

import contextlib
import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from harken.config import ModelConfig
from harken.models.audio_lm import AudioLM
from harken.models.loading import load_model, resolve_checkpoint
from harken.models.lora import add_adapters


def load_policy(config: ModelConfig, trained_dtype: torch.dtype = torch.float32) -> AudioLM:
    """Load a checkpoint for training. The chosen parts are trainable and stored as `trained_dtype`, or have adapters.

    A checkpoint that is an adapter itself is merged into its base first.
    """
    # bfloat16 from the start where the trained parts are bfloat16: the device might not hold the model in float32.
    dtype = trained_dtype if trained_dtype == torch.bfloat16 else getattr(torch, config.frozen_dtype)
    policy = load_model(config.path, dtype=dtype, device=config.device)
    parts = {
        "audio_tower": config.train_audio_tower,
        "projector": config.train_projector,
        "language_model": config.train_language_model,
    }
    if config.lora is None:
        policy.set_trainable(**parts)
    else:
        base = str(Path(config.path).resolve()) if Path(config.path).exists() else config.path
        add_adapters(policy, resolve_checkpoint(base), rank=config.lora.rank, alpha=config.lora.alpha, **parts)
    for parameter in policy.module.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(trained_dtype)
    switch_off_dropout(policy.module)
    if config.gradient_checkpointing:
        enable_gradient_checkpointing(policy.module)
    return policy


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
    """bf16_mixed: autocast to bfloat16 over float32 weights. float32: no autocast."""
    return torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16_mixed")


def enable_gradient_checkpointing(module: nn.Module) -> None:
    """Recompute each layer in the backward pass. Acts in train mode only."""
    renamed = getattr(module, "activation_checkpointing_enable", None)  # the name since transformers 5.23
    enable: Any = renamed or getattr(module, "gradient_checkpointing_enable", None)
    enable({"use_reentrant": False})
