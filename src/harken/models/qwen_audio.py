"""Qwen2-Audio (7B-Instruct) as an `AudioLM`, and what `harken assemble` makes. A clip fills at most one window, 30 s as
published. An assembled checkpoint may hold a Qwen3, which differs from a Qwen2 inside its layers alone."""

from transformers import Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor

from harken.models.whisper_window_model import WhisperWindowModel


class QwenAudio(WhisperWindowModel):
    """See `AudioLM` for what each method promises."""

    arch = "qwen2_audio"
    module_class = Qwen2AudioForConditionalGeneration
    processor_class = Qwen2AudioProcessor
    text_model_types = frozenset({"qwen2", "qwen3"})
