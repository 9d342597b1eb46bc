"""Audio Flamingo 3 (nvidia/audio-flamingo-3-hf) as an `AudioLM`.

A clip fills as many windows of 30 s as it needs, up to the processor's `max_audio_len`, 10 minutes as published.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from transformers import AudioFlamingo3ForConditionalGeneration, AudioFlamingo3Processor

from harken.models.audio_features import split_by_clip
from harken.models.whisper_window_model import WhisperWindowModel


class AudioFlamingo(WhisperWindowModel):
    """See `AudioLM` for what each method promises."""

    arch = "audioflamingo3"
    module_class = AudioFlamingo3ForConditionalGeneration
    processor_class = AudioFlamingo3Processor

    def _most_windows(self, processor: AudioFlamingo3Processor) -> int:
        longest = int(processor.max_audio_len * processor.feature_extractor.sampling_rate)
        return longest // self._windows.samples

    def _encode_windows(self, windows: Tensor, frames: Tensor, counts: Sequence[int]) -> Sequence[Tensor]:
        module: Any = self.module
        return split_by_clip(module.get_audio_features(windows, frames).pooler_output, counts)
