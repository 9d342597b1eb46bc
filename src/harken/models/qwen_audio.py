"""Qwen2-Audio (7B-Instruct) as an `AudioLM`. A clip fills at most one window, 30 s as published."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor
from transformers.masking_utils import create_bidirectional_mask

from harken.models.whisper_window_model import WhisperWindowModel


class QwenAudio(WhisperWindowModel):
    """See `AudioLM` for what each method promises."""

    arch = "qwen2_audio"
    module_class = Qwen2AudioForConditionalGeneration
    processor_class = Qwen2AudioProcessor

    def _encode_windows(self, windows: Tensor, frames: Tensor, counts: Sequence[int]) -> Sequence[Tensor]:
        tower: Any = self.parts["audio_tower"]
        positions = torch.arange(frames.shape[1] // 2, device=self.device)
        keys = positions < (frames.sum(1, keepdim=True) - 1) // 2 + 1
        mask = create_bidirectional_mask(
            config=tower.config, inputs_embeds=windows.new_zeros(*keys.shape, 1), attention_mask=keys
        )
        encoded = self.parts["projector"](tower(windows, attention_mask=mask).last_hidden_state)
        return [window[:count] for window, count in zip(encoded, counts, strict=True)]
