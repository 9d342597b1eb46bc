"""Tiny checkpoints of architectures whose tower has a fixed window: Qwen2-Audio, the Audio Flamingos and Voxtral."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AudioFlamingo3Config,
    AudioFlamingo3ForConditionalGeneration,
    AudioFlamingo3Processor,
    GenerationConfig,
    MusicFlamingoConfig,
    MusicFlamingoForConditionalGeneration,
    MusicFlamingoProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    VoxtralConfig,
    VoxtralForConditionalGeneration,
    WhisperFeatureExtractor,
)
from transformers.models.whisper.modeling_whisper import sinusoids

from harken.models.qwen_omni import AUDIO_BOS, AUDIO_EOS, AUDIO_TOKEN
from harken.models.tiny_sizes import TEXT_SIZES, TOWER_SIZES
from harken.models.tiny_tokenizer import AUDIO_TOKENS, CHAT_TOKENS, build_tekken, build_tokenizer
from harken.models.voxtral import TOKENIZER_FILE
from harken.system.files import write_json


def write_qwen_audio(folder: Path, texts: Iterable[str], window_s: int) -> None:
    element = f"Audio 1: {AUDIO_BOS}{AUDIO_TOKEN}{AUDIO_EOS}\n"
    tokenizer = build_tokenizer([element, *texts], special_tokens=(*CHAT_TOKENS, *AUDIO_TOKENS), audio=element)
    model = Qwen2AudioForConditionalGeneration(
        Qwen2AudioConfig(
            audio_config=_window_tower_config(window_s),
            text_config=_qwen2_config(tokenizer, key_value_heads=4),
            audio_token_index=tokenizer.get_vocab()[AUDIO_TOKEN],
        )
    )
    processor = Qwen2AudioProcessor(_window_extractor(window_s), tokenizer, chat_template=tokenizer.chat_template)
    _save_window_model(folder, model, processor)


def write_audio_flamingo(folder: Path, texts: Iterable[str], window_s: int) -> None:
    sound = "<sound>"
    tokenizer = build_tokenizer(texts, special_tokens=(*CHAT_TOKENS, sound), audio=sound)
    model = AudioFlamingo3ForConditionalGeneration(
        AudioFlamingo3Config(
            audio_config=_window_tower_config(window_s),
            text_config=_qwen2_config(tokenizer, key_value_heads=2),
            audio_token_id=tokenizer.get_vocab()[sound],
        )
    )
    processor = AudioFlamingo3Processor(
        _window_extractor(window_s), tokenizer, chat_template=tokenizer.chat_template, max_audio_len=3 * window_s
    )
    _save_window_model(folder, model, processor)


def write_music_flamingo(folder: Path, texts: Iterable[str], window_s: int) -> None:
    sound, begin, end = "<sound>", "<|sound_bos|>", "<|sound_eos|>"
    tokenizer = build_tokenizer(texts, special_tokens=(*CHAT_TOKENS, sound, begin, end), audio=sound)
    ids = tokenizer.get_vocab()
    model = MusicFlamingoForConditionalGeneration(
        MusicFlamingoConfig(
            audio_config=_window_tower_config(window_s) | {"model_type": "audioflamingo3_encoder"},
            text_config=_qwen2_config(tokenizer, key_value_heads=2),
            audio_token_id=ids[sound],
            audio_bos_token_id=ids[begin],
            audio_eos_token_id=ids[end],
        )
    )
    processor = MusicFlamingoProcessor(
        _window_extractor(window_s), tokenizer, chat_template=tokenizer.chat_template, max_audio_len=3 * window_s
    )
    _save_window_model(folder, model, processor)


def write_voxtral(folder: Path, texts: Iterable[str], window_s: int) -> None:
    tekken = build_tekken(texts, window_s)
    ids = {token["token_str"]: token["rank"] for token in tekken["special_tokens"]}
    model = VoxtralForConditionalGeneration(
        VoxtralConfig(
            audio_config=_window_tower_config(window_s) | {"encoder_ffn_dim": 4 * TOWER_SIZES["d_model"]},
            text_config=TEXT_SIZES
            | {
                "model_type": "llama",
                "vocab_size": tekken["config"]["default_vocab_size"],
                **{"num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 8192},
                "pad_token_id": ids["<pad>"],
            },
            audio_token_id=ids["[AUDIO]"],
        )
    )
    _save_with_sinusoids(folder, model, GenerationConfig(eos_token_id=ids["</s>"], pad_token_id=ids["<pad>"]))
    write_json(folder / TOKENIZER_FILE, tekken)
    _window_extractor(window_s).save_pretrained(folder)


def _window_tower_config(window_s: int) -> dict:
    return TOWER_SIZES | {"max_source_positions": window_s * 50}


def _qwen2_config(tokenizer: PreTrainedTokenizerFast, key_value_heads: int) -> dict:
    return TEXT_SIZES | {
        "model_type": "qwen2",
        "vocab_size": len(tokenizer),
        "num_key_value_heads": key_value_heads,
        "max_position_embeddings": 8192,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "pad_token_id": tokenizer.pad_token_id,
    }


def _window_extractor(window_s: int) -> WhisperFeatureExtractor:
    return WhisperFeatureExtractor(feature_size=128, chunk_length=window_s, return_attention_mask=True)


def _save_window_model(folder: Path, model: PreTrainedModel, processor: ProcessorMixin) -> None:
    pad, end = processor.tokenizer.pad_token_id, processor.tokenizer.eos_token_id
    _save_with_sinusoids(folder, model, GenerationConfig(eos_token_id=[pad, end], pad_token_id=pad))
    processor.save_pretrained(folder)
    processor.feature_extractor.save_pretrained(folder)


def _save_with_sinusoids(folder: Path, model: Any, generation: GenerationConfig) -> None:
    """Save with the positions of every published Whisper encoder; transformers leaves random numbers."""
    positions = model.model.audio_tower.embed_positions.weight
    with torch.no_grad():
        positions.copy_(sinusoids(*positions.shape))
    model.generation_config = generation
    model.save_pretrained(folder)
    _use_published_names(folder / "model.safetensors")


def _use_published_names(file: Path) -> None:
    """Rename tensors as published. Before release 5.23, transformers writes `language_model.model.model.` for a model
    that it did not load from a checkpoint; it loads that, and vLLM does not."""
    tensors = load_file(file)
    renamed = {name.replace("language_model.model.model.", "language_model.model."): t for name, t in tensors.items()}
    if renamed.keys() != tensors.keys():
        save_file(renamed, file, metadata={"format": "pt"})
