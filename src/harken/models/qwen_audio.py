"""Qwen2-Audio (7B-Instruct) as an `AudioLM`. A clip fills at most one window, 30 s as published."""

from transformers import Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor

from harken.models.whisper_window_model import WhisperWindowModel


class QwenAudio(WhisperWindowModel):
    """See `AudioLM` for what each method promises."""

    arch = "qwen2_audio"
    module_class = Qwen2AudioForConditionalGeneration
    processor_class = Qwen2AudioProcessor
