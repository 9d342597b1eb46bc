"""Tiny models of the real architectures, prompts and completions for them, and transformers' own forward over these."""

import atexit
import copy
import functools
import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import transformers
from torch import Tensor

from harken.inference.completions import Completions
from harken.models.audio_lm import AudioLM, ModelInput
from harken.models.loading import load_model
from harken.models.lora import add_adapters
from harken.models.omni_processor import complete_omni_processor
from harken.models.tiny_checkpoint import omni_config, write_tiny

ARCHITECTURES = ["qwen2_5_omni", "qwen2_audio", "audioflamingo3", "musicflamingo", "qwen3_omni_moe", "voxtral"]
MODELS = [*ARCHITECTURES, *(f"{arch} {lora}" for arch in ARCHITECTURES[:2] for lora in ("adapters", "merged"))]
"""Every test of a model runs over these."""
PROVED_BY_CORE_TESTS = ("musicflamingo", "qwen3_omni_moe", "voxtral")
"""The default suite runs only the tests marked `core` over these, for its time; `make proofs` runs all."""

TEXTS = ("Which digit is spoken in the audio?", "['one', 'two', 'three', 'dog barking']", "What is 2 + 2?")

SMALL_TALKER = {
    **{"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2},
    **{"num_key_value_heads": 1, "vocab_size": 64, "embedding_size": 128, "head_dim": 16, "audio_token_index": 1},
    "rope_parameters": {"mrope_section": [2, 3, 3], "rope_type": "default", "rope_theta": 10000.0},
}
SMALL_TOKEN2WAV = {
    "dit_config": {
        **{"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "ff_mult": 1, "emb_dim": 16},
        **{"head_dim": 16, "enc_dim": 16, "enc_emb_dim": 16, "enc_channels": [16, 16, 16, 16, 48]},
        **{"enc_attention_channels": 8, "enc_res2net_scale": 2, "enc_se_channels": 8, "mel_dim": 16, "num_embeds": 16},
    },
    "bigvgan_config": {
        **{"mel_dim": 16, "upsample_initial_channel": 16, "resblock_kernel_sizes": [3]},
        **{"resblock_dilation_sizes": [[1, 3, 5]], "upsample_rates": [2], "upsample_kernel_sizes": [4]},
    },
}


@functools.cache
def tiny_folder(arch: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"harken-{arch}-"))
    atexit.register(shutil.rmtree, folder)
    write_tiny(arch, folder, TEXTS, seed=1)
    return folder


def write_full_omni(
    path: Path, thinker: Path | None = None, **options
) -> transformers.Qwen2_5OmniForConditionalGeneration:
    """A full Qwen2.5-Omni checkpoint with its talker, like the published ones.

    Args:
        thinker: a tiny thinker whose tokenizer it has.
        options: go to `save_pretrained`.
    """
    thinker = thinker or tiny_folder("qwen2_5_omni")
    tokenizer = transformers.AutoTokenizer.from_pretrained(thinker)
    logging.disable(logging.WARNING)  # the tiny talker lacks the published control tokens
    try:
        config = transformers.Qwen2_5OmniConfig(
            thinker_config=omni_config(tokenizer).to_dict(),
            talker_config=SMALL_TALKER,
            token2wav_config=SMALL_TOKEN2WAV,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            full = transformers.Qwen2_5OmniForConditionalGeneration(config)
        full.save_pretrained(path, **options)
    finally:
        logging.disable(logging.NOTSET)
    tokenizer.save_pretrained(path)
    transformers.WhisperFeatureExtractor.from_pretrained(thinker).save_pretrained(path)
    complete_omni_processor(path)
    voice = {"cond": torch.zeros(1, 4), "ref_mel": torch.zeros(1, 3, 16), "bos_token": 1}
    torch.save({"Chelsie": voice}, path / "spk_dict.pt")  # the talker's voices
    return full.eval()


EVERYTHING = {"audio_tower": True, "projector": True, "language_model": True}
LANGUAGE_MODEL = {"audio_tower": False, "projector": False, "language_model": True}


def adapted(arch: str, parts: dict[str, bool], dtype: torch.dtype = torch.float64, moved: bool = True) -> AudioLM:
    """A model with adapters. `moved` moves them, and a projector that trains, away from their initial values."""
    model = tiny_model(arch, dtype)
    torch.manual_seed(0)  # peft starts A at random
    add_adapters(model, str(tiny_folder(arch)), rank=4, alpha=8, **parts)
    generator = torch.Generator().manual_seed(3)
    for parameter in model.module.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)
            if moved:
                parameter.data.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64), alpha=0.05)
    return model


def tiny_model(arch: str = "qwen2_5_omni", dtype: torch.dtype = torch.float64) -> AudioLM:
    """A fresh copy with weights large enough that attention and audio matter (0.02 is nearly uniform).

    `arch` is one of MODELS. Some of these have adapters on tower and language model, or adapters that were merged.
    """
    arch, _, lora = arch.partition(" ")
    if lora:
        model = adapted(arch, EVERYTHING, dtype)
        if lora == "merged":
            model.adapters.merge_and_unload()
            model.adapters = None
        return model
    model = load_model(str(tiny_folder(arch)), dtype=dtype, device="cpu")
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.module.parameters():
            if parameter.ndim >= 2:
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.copy_(noise * parameter.shape[-1] ** -0.5)
    if dtype == torch.float64:
        keep_float64(model.module)
    return model


def keep_float64(module: torch.nn.Module) -> None:
    for part in module.modules():
        if type(part).__name__.endswith("RMSNorm"):
            part.forward = functools.partial(rms_norm_in_float64, part)
        if type(part).__name__.endswith("TopKRouter"):
            part.forward = functools.partial(router_in_float64, part)
        if hasattr(part, "gate_up_proj") and part.config._experts_implementation == "grouped_mm":
            part.config._experts_implementation = "eager"  # the other form knows no float64


def rms_norm_in_float64(module, hidden: Tensor) -> Tensor:
    """RMSNorm without the rounding to float32 of transformers' own, which alone moves float64 gradients by 8e-8."""
    variance = hidden.pow(2).mean(-1, keepdim=True)
    return module.weight * hidden * torch.rsqrt(variance + module.variance_epsilon)


def router_in_float64(module, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A router without the rounding of its probabilities to float32, which flips a bit of a weight at random."""
    logits = torch.nn.functional.linear(hidden, module.weight)
    weights, chosen = torch.softmax(logits, -1).topk(module.top_k, -1)
    return logits, weights / weights.sum(-1, keepdim=True), chosen


def speaking(model: AudioLM, *words: str, sharpness: float = 0.9) -> AudioLM:
    """The model with a head that gives other tokens than the first ones of `words` and end of sequence a low
    probability."""
    wanted = [int(model.encode_answer(word)[0]) for word in words] + list(model.eos_token_ids)
    head = model.module.lm_head
    louder = torch.nn.Linear(head.in_features, head.out_features, dtype=head.weight.dtype)
    with torch.no_grad():
        louder.weight.copy_(head.weight * sharpness)
        louder.bias.fill_(-12.0)
        louder.bias[wanted] = 0.0
    model.module.lm_head = louder.requires_grad_(head.weight.requires_grad)
    return model


def perturbed(model: AudioLM, scale: float, seed: int = 11) -> AudioLM:
    """A copy whose weights all differ a little: another policy."""
    other = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype), alpha=scale)
    return other


def plain_arguments(inputs: Sequence[ModelInput], module: torch.nn.Module) -> dict[str, Tensor]:
    """The arguments of transformers' own forward and generate for these prompts: left-padded ids, padded features."""
    longest = max(prompt.length for prompt in inputs)
    ids = torch.zeros(len(inputs), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(inputs):
        ids[row, longest - prompt.length :] = prompt.input_ids
        mask[row, longest - prompt.length :] = 1
    arguments = {"input_ids": ids, "attention_mask": mask}
    clips = [clip for prompt in inputs for clip in prompt.clips]
    if clips:
        arguments |= WINDOWED.get(module.config.model_type, plain_features)(clips, module.config)
    return arguments


PADS_CLIPS_TOGETHER = ("qwen3_omni_moe_thinker",)
"""Model types whose own tower gives a clip shorter than a second another result beside longer clips than alone. harken
gives that of the clip alone, so a test compares one prompt at a time."""


def plain_features(clips: Sequence[Tensor], config) -> dict[str, Tensor]:
    """Features padded to the longest clip, for Qwen2.5-Omni."""
    frames = max(features.shape[1] for features in clips)
    padded = [torch.nn.functional.pad(features, (0, frames - features.shape[1])) for features in clips]
    lengths = torch.tensor([[features.shape[1]] for features in clips])
    return {
        "input_features": torch.stack(padded),
        "feature_attention_mask": (torch.arange(frames) < lengths).long(),
    }


def plain_windows(mask_name: str, clips: Sequence[Tensor], config) -> dict[str, Tensor]:
    """Features padded to whole windows. A clip has its own frames and two more; windows follow each other."""
    window = 2 * config.audio_config.max_source_positions
    windows, masks = [], []
    for features in clips:
        frames = features.shape[1] - 2
        row = torch.nn.functional.pad(features, (0, window))
        for start in range(0, frames, window):
            windows.append(row[:, start : start + window])
            masks.append((torch.arange(start, start + window) < frames).long())
    return {"input_features": torch.stack(windows), mask_name: torch.stack(masks)}


def plain_padded_windows(clips: Sequence[Tensor], config) -> dict[str, Tensor]:
    """Features with the silence after each clip, up to whole windows, for Voxtral. Their last frame is silent where
    anything follows it."""
    window = 2 * config.audio_config.max_source_positions
    windows = []
    for features in clips:
        silence = features[:, -1:].repeat(1, -features.shape[1] % window)
        windows += torch.cat([features, silence], 1).split(window, 1)
    return {"input_features": torch.stack(windows)}


WINDOWED = {
    "voxtral": plain_padded_windows,
    "qwen2_audio": functools.partial(plain_windows, "feature_attention_mask"),
    "audioflamingo3": functools.partial(plain_windows, "input_features_mask"),
    "musicflamingo": functools.partial(plain_windows, "input_features_mask"),
}


def plain_logp(
    module: torch.nn.Module, prompt: ModelInput, tokens: Sequence[int] | Tensor, temperature: float = 1.0
) -> Tensor:
    """[L] log-probabilities of a completion, by transformers' own forward over prompt and completion."""
    tokens = torch.as_tensor(tokens)
    arguments = plain_arguments([prompt], module)
    arguments["input_ids"] = torch.cat([prompt.input_ids, tokens])[None]
    arguments["attention_mask"] = torch.ones_like(arguments["input_ids"])
    dtype = module.lm_head.weight.dtype
    if "input_features" in arguments:
        arguments["input_features"] = arguments["input_features"].to(dtype)
    logits = module(**arguments, use_cache=False).logits[0, prompt.length - 1 : -1]
    return torch.log_softmax(logits / temperature, -1).gather(-1, tokens[:, None])[:, 0]


def noise(seconds: float, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(int(seconds * 16_000)) * 0.1).astype(np.float32)


def make_prompt(model: AudioLM, text: str, seconds: float | None, seed: int = 0) -> ModelInput:
    """A prompt about noise of this length; `seconds` None = text only."""
    content = [] if seconds is None else [{"type": "audio"}]
    conversation = [{"role": "user", "content": [*content, {"type": "text", "text": text}]}]
    return model.render(conversation, None if seconds is None else noise(seconds, seed))


def two_prompts(model: AudioLM) -> list[ModelInput]:
    """A prompt with a clip and a prompt without."""
    return [make_prompt(model, "Which digit is spoken in the audio?", 0.5), make_prompt(model, "What is 2 + 2?", None)]


def completions(model: AudioLM, lengths: list[int], seed: int = 0) -> Completions:
    """Random completions of the given lengths, without the audio placeholder, for which transformers wants a clip."""
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    tokens = torch.randint(20, 250, (len(lengths), longest), generator=generator)
    tokens[tokens == model.module.config.audio_token_id] = 20
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
