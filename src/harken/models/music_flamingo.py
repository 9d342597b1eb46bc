"""Music Flamingo (nvidia/music-flamingo-2601-hf) and Audio Flamingo Next (nvidia/audio-flamingo-next-hf) as an
`AudioLM`.

They are Audio Flamingo 3 with two changes. The tower's output is rotated by the time at which it was heard, so that the
language model can tell when in a long clip something happens (rotary time embeddings, arXiv 2410.12109). And a clip
stands between two tokens that mark its beginning and its end.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import MusicFlamingoForConditionalGeneration, MusicFlamingoProcessor
from transformers.models.musicflamingo.modeling_musicflamingo import apply_rotary_time_emb

from harken.models.audio_flamingo import AudioFlamingo

FRAMES_PER_TOKEN = 4
"""Mel frames that an audio token stands for: the second convolution and the pooling halve their number."""


class MusicFlamingo(AudioFlamingo):
    """See `AudioLM` for what each method promises."""

    arch = "musicflamingo"
    module_class = MusicFlamingoForConditionalGeneration
    processor_class = MusicFlamingoProcessor

    def _around_clips(self, processor: MusicFlamingoProcessor) -> tuple[str, str]:
        return processor.audio_bos_token, processor.audio_eos_token

    def _place_in_time(self, encoded: Tensor, numbers: Sequence[int]) -> Tensor:
        """Rotate each token by its time in the clip. The angle also depends on the length of a whole window, to which
        transformers pads the last one."""
        module: Any = self.module
        whole = self._windows.frames // FRAMES_PER_TOKEN
        step_s = module.config.audio_frame_step * FRAMES_PER_TOKEN
        starts_s = torch.tensor(numbers)[:, None] * whole * step_s
        times_s = starts_s + torch.arange(whole, dtype=torch.float32) * step_s
        cos, sin = module.model.pos_emb(times_s.to(encoded.device), seq_len=whole)
        return apply_rotary_time_emb(encoded, cos[:, : encoded.shape[1]], sin[:, : encoded.shape[1]])
