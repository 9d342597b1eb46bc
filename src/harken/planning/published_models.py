"""The sizes of published models, as their config.json files have them: a plan is made before anything is downloaded."""

from typing import Any

TOWER = {
    "d_model": 1280,
    "encoder_layers": 32,
    "encoder_attention_heads": 20,
    "encoder_ffn_dim": 5120,
    "num_mel_bins": 128,
}
"""Sizes of Whisper large's encoder, which all these models have."""
QWEN2_7B = {
    "model_type": "qwen2",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
}
"""Sizes of Qwen2.5 7B, the language model of the Audio Flamingos."""
LLAMA = {
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 131_072,
}
"""What the language models of both Voxtrals have alike."""
OMNI_ROPE = {"mrope_section": [16, 24, 24], "rope_type": "default", "rope_theta": 1e6}
PUBLISHED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "Qwen/Qwen2.5-Omni-7B": (
        "qwen2_5_omni_thinker",
        {
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "vocab_size": 152_064,
            "rope_parameters": OMNI_ROPE,
        },
        {**TOWER, "output_dim": 3584},
    ),
    "Qwen/Qwen2.5-Omni-3B": (
        "qwen2_5_omni_thinker",
        {
            "hidden_size": 2048,
            "intermediate_size": 11008,
            "num_hidden_layers": 36,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
            "vocab_size": 151_936,
            "rope_parameters": OMNI_ROPE,
        },
        {**TOWER, "output_dim": 2048},
    ),
    "Qwen/Qwen2-Audio-7B-Instruct": (
        "qwen2_audio",
        {
            "model_type": "qwen2",
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "vocab_size": 156_032,
        },
        {**TOWER, "max_source_positions": 1500},
    ),
    **dict.fromkeys(
        ("Qwen/Qwen3-Omni-30B-A3B-Instruct", "Qwen/Qwen3-Omni-30B-A3B-Thinking"),
        (
            "qwen3_omni_moe_thinker",
            {
                "hidden_size": 2048,
                "head_dim": 128,
                "num_hidden_layers": 48,
                "num_attention_heads": 32,
                "num_key_value_heads": 4,
                "num_experts": 128,
                "num_experts_per_tok": 8,
                "moe_intermediate_size": 768,
                "vocab_size": 152_064,
                "rope_parameters": {"mrope_section": [24, 20, 20], "rope_type": "default", "rope_theta": 1e6},
            },
            {**TOWER, "output_dim": 2048},
        ),
    ),
    "nvidia/audio-flamingo-3-hf": (
        "audioflamingo3",
        {**QWEN2_7B, "vocab_size": 151_672},
        {**TOWER, "model_type": "audioflamingo3_encoder", "max_source_positions": 1500},
    ),
    "nvidia/music-flamingo-2601-hf": (
        "musicflamingo",
        {**QWEN2_7B, "vocab_size": 151_672},
        {**TOWER, "model_type": "audioflamingo3_encoder", "max_source_positions": 1500},
    ),
    "mistralai/Voxtral-Mini-3B-2507": (
        "voxtral",
        {**LLAMA, "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 30},
        {**TOWER, "max_source_positions": 1500},
    ),
    "mistralai/Voxtral-Small-24B-2507": (
        "voxtral",
        {**LLAMA, "hidden_size": 5120, "intermediate_size": 32_768, "num_hidden_layers": 40},
        {**TOWER, "max_source_positions": 1500},
    ),
}
"""Hub id -> model type, sizes of the language model, sizes of the tower, as their config.json files have them."""
