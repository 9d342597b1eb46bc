"""Audio Flamingo 3 (nvidia/audio-flamingo-3-hf) as an `AudioLM`.

A clip fills as many windows of 30 s as it needs, up to the processor's `max_audio_len`, 10 minutes as published.
"""

from transformers import AudioFlamingo3ForConditionalGeneration, AudioFlamingo3Processor

from harken.models.whisper_window_model import WhisperWindowModel


class AudioFlamingo(WhisperWindowModel):
    """See `AudioLM` for what each method promises."""

    arch = "audioflamingo3"
    module_class = AudioFlamingo3ForConditionalGeneration
    processor_class = AudioFlamingo3Processor

    def _most_windows(self, processor: AudioFlamingo3Processor) -> int:
        longest = int(processor.max_audio_len * processor.feature_extractor.sampling_rate)
        return longest // self._windows.samples
