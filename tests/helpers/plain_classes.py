"""The plain transformers class of each architecture."""

from transformers import (
    AudioFlamingo3ForConditionalGeneration,
    MusicFlamingoForConditionalGeneration,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2AudioForConditionalGeneration,
    Qwen3OmniMoeThinkerForConditionalGeneration,
    VoxtralForConditionalGeneration,
)

PLAIN_CLASSES = {
    "qwen2_5_omni": Qwen2_5OmniThinkerForConditionalGeneration,
    "qwen3_omni_moe": Qwen3OmniMoeThinkerForConditionalGeneration,
    "qwen2_audio": Qwen2AudioForConditionalGeneration,
    "audioflamingo3": AudioFlamingo3ForConditionalGeneration,
    "musicflamingo": MusicFlamingoForConditionalGeneration,
    "voxtral": VoxtralForConditionalGeneration,
}
