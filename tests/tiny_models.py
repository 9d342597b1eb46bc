"""Tiny models of the real architectures and prompts for them, made once per test process."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harken.models.base import AudioLM, ModelInput
from harken.models.loading import load_model
from harken.models.tiny import write_tiny
from harken.rollout import Completions

TEXTS = ("Which digit is spoken in the audio?", "['one', 'two', 'three', 'dog barking']", "What is 2 + 2?")


@functools.cache
def tiny_folder(arch: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"harken-{arch}-"))
    write_tiny(arch, folder, TEXTS, seed=1)
    return folder


def tiny_model(arch: str = "qwen2_5_omni", dtype: torch.dtype = torch.float64) -> AudioLM:
    """A fresh copy with weights large enough that attention and audio matter (0.02 is nearly uniform)."""
    model = load_model(str(tiny_folder(arch)), dtype=dtype, device="cpu")
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.module.parameters():
            if parameter.ndim >= 2:
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.copy_(noise * parameter.shape[-1] ** -0.5)
    if dtype == torch.float64:
        for module in model.module.modules():
            if type(module).__name__.endswith("RMSNorm"):
                module.forward = functools.partial(rms_norm_in_float64, module)
    return model


def rms_norm_in_float64(module, hidden: Tensor) -> Tensor:
    """transformers rounds to float32 inside every RMSNorm, which alone moves float64 gradients by 8e-8. Not here."""
    variance = hidden.pow(2).mean(-1, keepdim=True)
    return module.weight * hidden * torch.rsqrt(variance + module.variance_epsilon)


def noise(seconds: float, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(int(seconds * 16_000)) * 0.1).astype(np.float32)


def prompt(model: AudioLM, text: str, seconds: float | None, seed: int = 0) -> ModelInput:
    """One prompt; `seconds` None = text only."""
    content = [] if seconds is None else [{"type": "audio"}]
    conversation = [{"role": "user", "content": [*content, {"type": "text", "text": text}]}]
    return model.render(conversation, None if seconds is None else noise(seconds, seed))


def completions(model: AudioLM, lengths: list[int], seed: int = 0) -> Completions:
    """Random rows of the given lengths."""
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    tokens = torch.randint(20, 250, (len(lengths), longest), generator=generator)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    tokens = torch.where(mask, tokens, 0)
    logp = torch.zeros(tokens.shape, dtype=next(model.module.parameters()).dtype)
    return Completions(tokens, mask, logp, torch.ones(len(lengths), dtype=torch.bool))


def gradients(model: AudioLM) -> dict[str, Tensor]:
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in model.module.named_parameters()
        if parameter.requires_grad
    }
