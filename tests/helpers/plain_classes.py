"""The plain transformers class of each architecture."""

from transformers import (
    AudioFlamingo3ForConditionalGeneration,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2AudioForConditionalGeneration,
)

PLAIN_CLASSES = {
    "qwen2_5_omni": Qwen2_5OmniThinkerForConditionalGeneration,
    "qwen2_audio": Qwen2AudioForConditionalGeneration,
    "audioflamingo3": AudioFlamingo3ForConditionalGeneration,
}
