"""Random parts of a small audio model: a Whisper and language models of each family, as wide as those of
recipes/small, with two layers and small vocabularies."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from harken.models.tiny_tokenizer import CHAT_TOKENS, build_tokenizer

TEXTS = ("Which digit is spoken in the audio?", "['one', 'two', 'three', 'dog barking']", "What is 2 + 2?")
SIZES: dict[str, Any] = {
    **{"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 2, "num_attention_heads": 9},
    **{"num_key_value_heads": 3, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5},
}
LLAMA_3_ROPE = {
    **{"rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0},
    **{"high_freq_factor": 4.0, "original_max_position_embeddings": 16},
}
FAMILIES = {
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, {}),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, {"head_dim": 32}),
    "llama": (LlamaConfig, LlamaForCausalLM, {"tie_word_embeddings": True}),
    "llama 3": (LlamaConfig, LlamaForCausalLM, {"rope_parameters": LLAMA_3_ROPE}),
}
CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are helpful.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""SmolLM2's template, which takes texts alone."""


def write_language_model(folder: Path, family: str, texts=TEXTS, **changes: Any) -> None:
    tokenizer = build_tokenizer(texts, vocabulary=600, special_tokens=CHAT_TOKENS)
    tokenizer.chat_template = CHATML
    config_class, model_class, values = FAMILIES[family]
    ids = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": None}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = model_class(config_class(vocab_size=len(tokenizer), **{**SIZES, **values, **ids, **changes}))
        for parameter in model.parameters():
            if parameter.ndim == 1:
                torch.nn.init.normal_(parameter, std=0.2)  # norms and biases matter
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def write_whisper(folder: Path, positions: int = 400) -> None:
    config = WhisperConfig(
        **{"d_model": 512, "encoder_layers": 2, "encoder_attention_heads": 8, "encoder_ffn_dim": 2048},
        **{"decoder_layers": 1, "decoder_attention_heads": 8, "decoder_ffn_dim": 64, "vocab_size": 64},
        **{
            "num_mel_bins": 80,
            "max_source_positions": positions,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
        **{"decoder_start_token_id": 1, "suppress_tokens": None, "begin_suppress_tokens": None},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        model = WhisperForConditionalGeneration(config)
    model.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
