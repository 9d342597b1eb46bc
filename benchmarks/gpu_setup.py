"""What the parts of gpu.py share: a model with random weights, questions with clips of noise, and measured rates."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import WhisperFeatureExtractor

from harken.models.qwen_omni import Qwen2_5OmniThinkerForConditionalGeneration, QwenOmni
from harken.models.tiny_checkpoint import omni_config
from harken.models.tiny_tokenizer import build_tokenizer
from harken.planning.memory_items import GIB
from harken.planning.shapes import published_config
from harken.types import Question

TEXT = "Which of these instruments is playing the melody in the second half of the recording?"
CHOICES = ("an acoustic guitar", "a violin", "a grand piano", "a clarinet")
SIZES = {"7b": "Qwen/Qwen2.5-Omni-7B", "3b": "Qwen/Qwen2.5-Omni-3B", "tiny": None}
"""Name of a size -> the published model that has it."""


@dataclass(frozen=True, slots=True)
class Work:
    """The settings of all parts.

    Attributes:
        layers: blocks of the language model; None for as many as published.
        seconds: length of a clip.
        prompts, group: prompts of a step, completions per prompt.
        direct, thinking: tokens of a direct answer, and of one with reasoning.
        repeats: measured rounds, after one that warms up.
    """

    size: str
    layers: int | None
    device: torch.device
    seconds: float
    prompts: int
    group: int
    direct: int
    thinking: int
    repeats: int


def build_model(work: Work, dtype: torch.dtype) -> QwenOmni:
    """A thinker with random weights, made on the device. No token ends a completion."""
    config, tokenizer = config_of(work)
    default_dtype = torch.get_default_dtype()
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    try:
        with work.device:
            module = Qwen2_5OmniThinkerForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(default_dtype)
    model = QwenOmni(module, tokenizer, WhisperFeatureExtractor(feature_size=128, chunk_length=300))
    model.eos_token_ids = (-1,)
    model.set_trainable(audio_tower=True, projector=True, language_model=True)
    return model


def config_of(work: Work) -> tuple[Any, Any]:
    """The configuration of the model, and a tokenizer of the question's text, whose control tokens it names."""
    path = SIZES[work.size]
    changes = {} if work.layers is None else {"num_hidden_layers": work.layers}
    tokenizer = build_tokenizer([TEXT, *CHOICES])
    if path is None:
        return omni_config(tokenizer), tokenizer
    config = published_config(path, **changes)
    names = {"audio_token_id": "<|AUDIO|>", "image_token_id": "<|IMAGE|>", "video_token_id": "<|VIDEO|>"}
    for name, token in names.items():
        setattr(config, name, tokenizer.convert_tokens_to_ids(token))
    return config, tokenizer


def make_questions(work: Work) -> list[Question]:
    return [Question(f"q{i}", TEXT, CHOICES, i % 4, Path(f"clip{i}.wav")) for i in range(work.prompts)]


def noise_loader(work: Work) -> Callable[[Question], list[np.ndarray]]:
    """A loader of clips that gives one of noise, by the number in the question's id."""

    def load_noise(question: Question) -> list[np.ndarray]:
        generator = np.random.default_rng(int(question.id[1:]))
        return [(generator.standard_normal(int(work.seconds * 16_000)) * 0.1).astype(np.float32)]

    return load_noise


def measure_run(device: torch.device, run: Callable[[], Any]) -> tuple[float, float | None, Any]:
    """(seconds, peak GiB or None on a CPU, result)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    _wait_for(device)
    started = time.perf_counter()
    result = run()
    _wait_for(device)
    seconds = time.perf_counter() - started
    return seconds, torch.cuda.max_memory_allocated() / GIB if device.type == "cuda" else None, result


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def free_memory(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def measure_rates(work: Work) -> dict[str, float]:
    """Operations a second of a square matrix product in bfloat16, bytes a second of a copy (read and written)."""
    n, size = (8192, 2**30) if work.device.type == "cuda" else (256, 2**22)
    a, b = (torch.randn(n, n, dtype=torch.bfloat16, device=work.device) for _ in range(2))
    source = torch.zeros(size, dtype=torch.uint8, device=work.device)
    target = torch.empty_like(source)
    products = [measure_run(work.device, lambda: torch.mm(a, b))[0] for _ in range(10)]
    copies = [measure_run(work.device, lambda: target.copy_(source))[0] for _ in range(10)]
    return {
        "matmul_per_s": 2 * n**3 / statistics.median(products),
        "copy_bytes_per_s": 2 * size / statistics.median(copies),
    }
