"""Mixes the blocks of a file down to mono, resamples them to 16 kHz, and keeps what the account of a clip needs.

`audio.py` feeds it what the decoders return.
"""

import math
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from harken.data.audio_decoders import Block, Decoding
from harken.errors import AudioError
from harken.types import Waveform

SAMPLE_RATE_HZ = 16_000
_CANCELLED = 1e-3
"""A mix with less than this share of the mean power of its channels has cancelled itself out (30 dB)."""
SILENT_POWER = 1e-8
"""Mean power below which a clip is silent anyway: -80 dB of full scale."""


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """The length of a clip, and what is unusual about it.

    Attributes:
        n_samples: length at 16 kHz, as it is after resampling.
        channels: of the file; the highest number where it changes.
        cut: why the clip is shorter than it should be, with both lengths; "" where it is whole.
        beyond_full_scale: whether samples of the mix lie outside [-1, 1]; they are clipped.
        cancelled: whether the channels cancel each other out, so that the mix is silent and the file is not.
    """

    n_samples: int
    channels: int = 1
    cut: str = ""
    beyond_full_scale: bool = False
    cancelled: bool = False

    @property
    def duration_s(self) -> float:
        """A whole number of samples at 16 kHz, in seconds."""
        return self.n_samples / SAMPLE_RATE_HZ


def resampled_length(n_frames: int, rate_hz: int) -> int:
    """Samples at 16 kHz that `n_frames` at another rate become; half a sample is rounded up, as soxr does."""
    return max(1, (n_frames * SAMPLE_RATE_HZ + rate_hz // 2) // rate_hz)


class Mix:
    """Averages channels block by block, resamples, and keeps what the account of a clip needs."""

    def __init__(self, resample: bool) -> None:
        self.n_frames, self._rate_hz, self._channels, self._resample = 0, 0, 1, resample
        self._power, self._channel_power, self._peak = 0.0, 0.0, 0.0
        self._stream: soxr.ResampleStream | None = None
        self._parts: list[NDArray[np.float32]] = []
        self._first = np.zeros(1, np.float32)

    def add(self, block: Block, state: Decoding) -> None:
        """Raises AudioError where a sample is not finite."""
        mono = _mean(block)
        low, high = float(mono.min()), float(mono.max())
        if not math.isfinite(low) or not math.isfinite(high):
            place = state.position - len(block) + int(np.argmin(np.isfinite(mono)))
            raise AudioError(
                f"not a finite number (NaN or infinity) at {place / state.rate_hz:.3f} s; "
                "export the clip again, or remove its record"
            )
        self._peak = max(self._peak, -low, high)
        if block.shape[1] > 1:
            self._channels = max(self._channels, block.shape[1])
            self._power += float(np.vdot(mono, mono))
            self._channel_power += float(np.vdot(block, block)) / block.shape[1]
        if not self.n_frames:
            self._first = mono[:1].copy()
        self.n_frames += len(mono)
        self._rate_hz = state.rate_hz
        if self._resample:
            self._parts.append(self._resampled(mono))

    def _resampled(self, mono: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._rate_hz == SAMPLE_RATE_HZ:
            return mono
        if self._stream is None:
            self._stream = soxr.ResampleStream(self._rate_hz, SAMPLE_RATE_HZ, num_channels=1, quality="HQ")
        return self._stream.resample_chunk(mono)

    def waveform(self) -> Waveform:
        """[S]; empty where nothing is to be resampled."""
        if not self._resample:
            return np.zeros(0, np.float32)
        if self._stream is not None:
            self._parts.append(self._stream.resample_chunk(np.zeros(0, np.float32), last=True))
        samples = np.concatenate(self._parts) if len(self._parts) > 1 else self._parts[0]
        samples = samples if samples.size else self._first
        assert len(samples) == resampled_length(self.n_frames, self._rate_hz)
        return np.clip(samples, -1, 1)

    def facts(self, cut: str) -> ClipFacts:
        audible = SILENT_POWER * self.n_frames < self._channel_power < math.inf
        return ClipFacts(
            resampled_length(self.n_frames, self._rate_hz),
            self._channels,
            cut,
            self._peak > 1,
            audible and self._power < _CANCELLED * self._channel_power,
        )


def _mean(block: Block) -> NDArray[np.float32]:
    """[n, C] -> [n]. The sum is taken in float64 for more than two channels; for two, one rounding gives the same."""
    if block.shape[1] == 1:
        return np.ascontiguousarray(block[:, 0])
    if block.shape[1] == 2:
        with np.errstate(over="ignore", invalid="ignore"):  # the caller refuses what is not finite
            return (block[:, 0] + block[:, 1]) * np.float32(0.5)
    with np.errstate(over="ignore", invalid="ignore"):
        return block.mean(axis=1, dtype=np.float64).astype(np.float32)
