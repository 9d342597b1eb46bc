"""Tiny random checkpoints of the real architectures, with a small tokenizer of their own.

`harken tiny`, the demo and the tests write them: folders in Hugging Face layout that every command accepts. Only the
sizes are small, so the code that runs on them is the code that runs on published checkpoints.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen3OmniMoeThinkerConfig,
    Qwen3OmniMoeThinkerForConditionalGeneration,
    WhisperFeatureExtractor,
)

from harken.data.records import read_records
from harken.errors import CheckpointError
from harken.models.omni_processor import complete_omni_processor
from harken.models.qwen_omni import AUDIO_BOS, AUDIO_EOS, AUDIO_TOKEN
from harken.models.tiny_sizes import HIDDEN_SIZE, TEXT_SIZES, TOWER_SIZES
from harken.models.tiny_tokenizer import CHAT_TOKENS, IM_END, PAD, SPECIAL_TOKENS, build_tokenizer
from harken.models.tiny_window_models import (
    write_audio_flamingo,
    write_music_flamingo,
    write_qwen_audio,
    write_voxtral,
)
from harken.system.files import read_text, replacing


def question_texts(files: Iterable[Path]) -> list[str]:
    """The texts of question files for `build_tokenizer`: questions, choices and reasonings, as prompts and completions
    contain them. A file that ends in .txt, such as a prompt template, is one text."""
    texts: dict[str, None] = {}
    for file in files:
        if file.suffix == ".txt":
            texts[read_text(file)] = None
            continue
        for _, _, record in read_records(file)[0]:
            choices = [choice for choice in record.get("choices", ()) if isinstance(choice, str)]
            fields = [str(record.get(key, "")) for key in ("question", "text", "reasoning")]
            texts |= dict.fromkeys([*fields, repr(choices), *choices])
    return list(texts)


WINDOW_S = 6
"""Length of the window of towers with a fixed one: these towers always run on a whole window."""


def write_tiny(arch: str, folder: Path, texts: Iterable[str], seed: int = 0, window_s: int = WINDOW_S) -> None:
    """Write a random checkpoint of `arch` with about a million parameters.

    Args:
        texts: the tokenizer has single tokens for their words.
        window_s: seconds of the fixed window of Qwen2-Audio, the Audio Flamingos and Voxtral, 30 as published, which
            vLLM needs. The Omni models have no fixed window.

    Raises CheckpointError for an unknown architecture or a folder that holds a checkpoint already, and OSError for a
    folder that holds anything else.
    """
    if arch not in WRITERS:
        raise CheckpointError(f"unknown architecture {arch!r}; known: {', '.join(WRITERS)}")
    if (folder / "config.json").exists():
        raise CheckpointError(f"{folder}: already holds a checkpoint; choose another --out")
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    with torch.random.fork_rng(devices=[]), replacing(folder) as temporary:
        temporary.mkdir()
        torch.manual_seed(seed)
        WRITERS[arch](temporary, texts, window_s)


QWEN3_OMNI_TOKENS = (
    *("<|audio_start|>", "<|audio_pad|>", "<|audio_end|>", "<|image_pad|>", "<|video_pad|>"),
    *("<|vision_start|>", "<|vision_end|>"),
)


def omni_config(tokenizer: PreTrainedTokenizerFast) -> Qwen2_5OmniThinkerConfig:
    ids = {token: tokenizer.get_vocab()[token] for token in SPECIAL_TOKENS}
    config_class: Any = Qwen2_5OmniThinkerConfig  # takes more names than its signature lists
    return config_class(
        audio_config=TOWER_SIZES | {"output_dim": HIDDEN_SIZE, "n_window": 100},
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": HIDDEN_SIZE,
            "fullatt_block_indexes": [0],
        },
        text_config=TEXT_SIZES
        | {
            "vocab_size": len(tokenizer),
            "num_key_value_heads": 2,
            "rope_parameters": {"mrope_section": [4, 6, 6], "rope_type": "default", "rope_theta": 10000.0},
        },
        audio_token_index=ids[AUDIO_TOKEN],
        audio_start_token_id=ids[AUDIO_BOS],
        audio_end_token_id=ids[AUDIO_EOS],
        image_token_index=ids["<|IMAGE|>"],
        video_token_index=ids["<|VIDEO|>"],
        vision_start_token_id=ids["<|vision_bos|>"],
        vision_end_token_id=ids["<|vision_eos|>"],
        pad_token_id=ids[PAD],
        eos_token_id=ids[IM_END],
    )


def _write_omni(folder: Path, texts: Iterable[str], window_s: int) -> None:
    tokenizer = build_tokenizer(texts)
    Qwen2_5OmniThinkerForConditionalGeneration(omni_config(tokenizer)).save_pretrained(folder)
    # Length (300 s) and filters (128 mel bins, 10 ms hop) are those of the published checkpoints.
    WhisperFeatureExtractor(feature_size=128, chunk_length=300).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    complete_omni_processor(folder)


def qwen3_omni_config(tokenizer: PreTrainedTokenizerFast) -> Qwen3OmniMoeThinkerConfig:
    ids = {token: tokenizer.get_vocab()[token] for token in QWEN3_OMNI_TOKENS}
    config_class: Any = Qwen3OmniMoeThinkerConfig  # takes more names than its signature lists
    return config_class(
        audio_config=TOWER_SIZES | {"output_dim": HIDDEN_SIZE, "downsample_hidden_size": 16},
        vision_config={
            **{"depth": 1, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2},
            **{"out_hidden_size": HIDDEN_SIZE, "num_position_embeddings": 16, "deepstack_visual_indexes": [0]},
        },
        text_config=TEXT_SIZES
        | {
            **{"vocab_size": len(tokenizer), "num_key_value_heads": 2, "head_dim": 32},
            **{"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32},
            "rope_parameters": {"mrope_section": [6, 5, 5], "rope_type": "default", "rope_theta": 10000.0},
        },
        audio_token_id=ids["<|audio_pad|>"],
        audio_start_token_id=ids["<|audio_start|>"],
        audio_end_token_id=ids["<|audio_end|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def _write_qwen3_omni(folder: Path, texts: Iterable[str], window_s: int) -> None:
    element = "<|audio_start|><|audio_pad|><|audio_end|>"
    tokenizer = build_tokenizer(texts, special_tokens=(*CHAT_TOKENS, *QWEN3_OMNI_TOKENS), audio=element)
    Qwen3OmniMoeThinkerForConditionalGeneration(qwen3_omni_config(tokenizer)).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=128, chunk_length=300).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


WRITERS = {
    "qwen2_5_omni": _write_omni,
    "qwen3_omni_moe": _write_qwen3_omni,
    "qwen2_audio": write_qwen_audio,
    "audioflamingo3": write_audio_flamingo,
    "musicflamingo": write_music_flamingo,
    "voxtral": write_voxtral,
}
