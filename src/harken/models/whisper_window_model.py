"""What Qwen2-Audio and the Audio Flamingos share: an audio tower that runs on Whisper's fixed windows.

All have the same layout of modules and a processor of their own that names the audio placeholder and holds the chat
template.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from transformers import ProcessorMixin

from harken.models.audio_features import count_audio_tokens, split_by_clip
from harken.models.chat_template import choose_chat_template
from harken.models.whisper_tower import encode_windows
from harken.models.whisper_tower_model import WhisperTowerModel
from harken.models.whisper_windows import WhisperWindows, audio_tokens_of
from harken.types import Waveform


class WhisperWindowModel(WhisperTowerModel):
    """See `AudioLM` and `ChatAudioModel`.

    Attributes:
        processor_class: transformers' processor of the architecture.
    """

    processor_class: ClassVar[type[ProcessorMixin]]

    def __init__(self, module: Any, processor: Any) -> None:
        # The tokenizer's own template, where it differs, knows text only.
        processor.tokenizer.chat_template = processor.chat_template
        extractor = processor.feature_extractor
        self.processor = processor
        self._windows = WhisperWindows(extractor, module.config.audio_config.max_source_positions)
        longest = self._most_windows(processor) * self._windows.samples
        around = self._around_clips(processor)
        super().__init__(module, processor.tokenizer, extractor, processor.audio_token, longest, around)

    @classmethod
    def with_module(cls, module: Any, path: str) -> Self:
        processor: Any = cls.processor_class.from_pretrained(path)
        processor.chat_template = choose_chat_template(path, processor.tokenizer, processor.audio_token, processor)
        return cls(module, processor)

    def _most_windows(self, processor: Any) -> int:
        """How many windows the longest clip may fill."""
        return 1

    def _around_clips(self, processor: Any) -> tuple[str, str]:
        """What the processor writes before and after the placeholders of a clip."""
        return "", ""

    def _place_in_time(self, encoded: Tensor, numbers: Sequence[int]) -> Tensor:
        """[N, audio tokens, D] windows as they come from the tower, and the number of each within its clip."""
        return encoded

    def _features(self, waveform: Waveform) -> Tensor:
        return self._windows.features(waveform)

    def _tower(self, clips: Sequence[Tensor]) -> Sequence[Tensor]:
        windows, frames = self._windows.windows(clips)
        encoded = encode_windows(self.parts["audio_tower"], windows.to(self.device), frames)
        encoded = self._place_in_time(encoded, self._windows.numbers(clips))
        pieces = [window[: count_audio_tokens(n)] for window, n in zip(encoded, frames, strict=True)]
        return split_by_clip(torch.cat(pieces), [audio_tokens_of(features) for features in clips])

    def _save_processors(self, folder: Path) -> None:
        self.processor.save_pretrained(folder)
        # The processor's file holds the extractor too, but published checkpoints have it in a file of its own.
        self.feature_extractor.save_pretrained(folder)
