"""Waveforms as log-mel spectrograms, and how many audio tokens a clip makes.

The audio towers of all models here descend from Whisper's encoder: 10 ms frames, then a convolution and a pooling of
stride 2 each, so an audio token stands for 40 ms.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harken.data.audio import SAMPLE_RATE_HZ
from harken.errors import DataError
from harken.types import Waveform


def count_frames(samples: int, hop_length: int) -> int:
    """Mel frames of a clip; a frame that has begun counts."""
    return -(-samples // hop_length)


def count_audio_tokens(frames: int) -> int:
    return max(0, ((frames - 1) // 2 + 1 - 2) // 2 + 1) if frames > 0 else 0


def shortest_clip(hop_length: int) -> int:
    """Samples of the shortest clip that makes one audio token."""
    return next(n for n in range(1, SAMPLE_RATE_HZ) if count_audio_tokens(count_frames(n, hop_length)) > 0)


def check_clip_length(waveform: Waveform, min_samples: int, max_samples: int) -> None:
    """Raises DataError for a clip that is too short or too long."""
    if not min_samples <= len(waveform) <= max_samples:
        raise DataError(
            f"a clip of {len(waveform)} samples is outside what the model hears, "
            f"{min_samples} to {max_samples} samples at {SAMPLE_RATE_HZ} Hz"
        )


def spectrograms(extractor: Any, clips: Sequence[Waveform], *, padding: str) -> Tensor:
    """[N, mel bins, frames] float32, also where the model computes in mixed precision.

    Args:
        padding: longest or max_length, as transformers' feature extractors take it.
    """
    with torch.autocast("cpu", enabled=False):
        extracted = extractor(
            list(clips), sampling_rate=SAMPLE_RATE_HZ, padding=padding, truncation=False, return_tensors="pt"
        )
    return extracted["input_features"]


def split_by_clip(encoded: Tensor, counts: Sequence[int]) -> list[Tensor]:
    """The tower's output for several clips, [sum of counts, H], cut into one piece for each clip."""
    if encoded.shape[0] != sum(counts):
        raise ValueError(f"the audio tower gave {encoded.shape[0]} features where {sum(counts)} were expected")
    return list(encoded.split(list(counts)))
