"""Reads an audio file, or a part of one, as the waveform that models hear: float32, mono, 16 kHz, within [-1, 1].

Training, evaluation, preparation, generation, served models and the report all read sound here, so one set of rules
holds everywhere. What is decoded is what is returned, and two loads give equal samples:

- channels are averaged, however many there are;
- the mix is resampled with soxr (HQ), and `n_samples` is known without resampling;
- samples beyond full scale are clipped, and the clip is marked;
- a file that ends before its stated length, or that has damage, is refused with both lengths, or used as it is where
  `truncated` is "accept";
- whatever a decoder raises becomes an AudioError that names the file.

`audio_layout.py` says which library decodes a file and what its header states; `audio_decoders.py` decodes.
"""

import base64
import io
import math
import mmap
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import av.error
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from harken.data.audio_decoders import Block, Decoding, decode, open_regular
from harken.data.audio_frames import MOST_SEGMENTS
from harken.data.audio_layout import Layout, layout_of
from harken.errors import AudioError
from harken.types import Waveform

SAMPLE_RATE_HZ = 16_000
_END_TOLERANCE_S = 0.1
"""How far beyond its file a part may end, because lists round durations and codecs pad."""
_CANCELLED = 1e-3
"""A mix with less than this share of the mean power of its channels has cancelled itself out (30 dB)."""
SILENT_POWER = 1e-8
"""Mean power below which a clip is silent anyway: -80 dB of full scale."""

Truncated = Literal["refuse", "accept"]


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What reading a clip shows, apart from its samples.

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


def load_waveform(
    path: Path, start_s: float = 0.0, end_s: float | None = None, *, truncated: Truncated = "refuse"
) -> Waveform:
    """Read a file, or its part from `start_s` up to `end_s`.

    Args:
        truncated: whether a file that is cut short or damaged is refused, or what decodes of it is used.

    Returns:
        [S] float32, mono, finite, within [-1, 1], S >= 1 however short the clip is.

    Raises:
        AudioError: the file is missing or no file, cannot be decoded, holds no samples, holds samples that are not
            finite, ends before its stated length or before the part does, has a sample rate outside 4 to 768 kHz, or
            lasts more than two hours.
    """
    return _in_words(path, lambda: _read(path, start_s, end_s, truncated, resample=True))[0]


def check_audio(
    path: Path, start_s: float = 0.0, end_s: float | None = None, *, truncated: Truncated = "refuse"
) -> ClipFacts:
    """Decode a file, or its part, without resampling. Raises AudioError exactly where `load_waveform` does."""
    return _in_words(path, lambda: _read(path, start_s, end_s, truncated, resample=False))[1]


def resampled_length(n_frames: int, rate_hz: int) -> int:
    """Samples at 16 kHz that `n_frames` at another rate become; half a sample is rounded up, as soxr does."""
    return max(1, (n_frames * SAMPLE_RATE_HZ + rate_hz // 2) // rate_hz)


def _in_words(path: Path, read: Callable[[], tuple[Waveform, ClipFacts]]) -> tuple[Waveform, ClipFacts]:
    """Run `read`, and make whatever a decoder raises an AudioError that begins with the path."""
    try:
        return read()
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error
    except Exception as error:  # files are hostile data: a decoder may raise anything
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise AudioError(
            f"{path}: cannot be decoded ({str(reason).rstrip('.')}); fetch the file again, or convert it to WAV or FLAC"
        ) from error


def _read(
    path: Path, start_s: float, end_s: float | None, truncated: Truncated, *, resample: bool
) -> tuple[Waveform, ClipFacts]:
    with open_regular(path) as file:
        if not file.seek(0, io.SEEK_END):
            raise AudioError("is empty; fetch the file again")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            layout = layout_of(data)
            if len(layout.segments) > MOST_SEGMENTS:
                raise AudioError(f"consists of more than {MOST_SEGMENTS} files joined together; split it")
            if layout.joined:
                raise AudioError("holds another file behind the first, which decoders do not read; split it")
            mix, state = _decoded_by_either(file, data, layout, (start_s, end_s), resample=resample)
    _check_part(state, mix, start_s, end_s)
    cut = _loss(layout, state, whole=start_s == 0 and end_s is None) if state.rate_hz else ""
    if not mix.n_frames and not cut:
        raise AudioError("holds no samples; fetch the file again, or remove its record")
    if cut and (truncated == "refuse" or not mix.n_frames):
        raise AudioError(f"{cut}; fetch the file again, or set `truncated: accept` in the recipe to use what decodes")
    return mix.waveform(), mix.facts(cut)


def _decoded_by_either(
    file: BinaryIO, data: mmap.mmap, layout: Layout, part: tuple[float, float | None], *, resample: bool
) -> tuple["_Mix", Decoding]:
    """Decode with the library of the layout, and with FFmpeg where libsndfile does not know the codec or gives up."""
    try:
        try:
            return _decoded(file, data, layout, part, resample=resample)
        except soundfile.SoundFileError:
            if layout.format == "MP3":  # FFmpeg would make bursts of noise from damage that libsndfile refuses
                raise
            return _decoded(file, data, replace(layout, library="FFmpeg"), part, resample=resample)
    except (soundfile.SoundFileError, av.error.FFmpegError) as error:
        if not layout.damage:
            raise
        raise AudioError(f"is cut short or damaged: {layout.damage}; nothing decodes; fetch the file again") from error


def _decoded(
    file: BinaryIO, data: mmap.mmap, layout: Layout, part: tuple[float, float | None], *, resample: bool
) -> tuple["_Mix", Decoding]:
    state, mix = Decoding(), _Mix(resample)
    for block in decode(file, data, layout, state, *part):
        mix.add(block, state)
    return mix, state


class _Mix:
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


def _check_part(state: Decoding, mix: _Mix, start_s: float, end_s: float | None) -> None:
    """Raise AudioError where the file ends before the part begins, or too long before it ends."""
    if (start_s == 0 and end_s is None) or not state.rate_hz:
        return
    duration_s = state.position / state.rate_hz
    late = end_s is not None and state.at_end and end_s > duration_s + _END_TOLERANCE_S
    if late or not mix.n_frames or start_s >= duration_s:
        raise AudioError(
            f"the part from {start_s:g} s to {'its end' if end_s is None else f'{end_s:g} s'} is not in the "
            f"file, which lasts {duration_s:.3f} s; correct start_s and end_s"
        )


def _loss(layout: Layout, state: Decoding, *, whole: bool) -> str:
    """Why the sound is shorter than it should be; "" where it is not. A part that was decoded is not shorter."""
    delivered = state.position
    if whole or state.at_end:
        stated = max(state.stated_frames or 0, math.ceil(delivered * layout.stated_share))
        if stated - delivered > state.tolerance_frames:
            return (
                f"is cut short or damaged: {delivered / state.rate_hz:.3f} s of the stated "
                f"{stated / state.rate_hz:.3f} s decode"
            )
        if state.damage:
            return f"is damaged: {state.damage}; {delivered / state.rate_hz:.3f} s decode"
        if layout.stated_frames is not None and layout.format == "MP3":
            return ""  # as long as stated, so that what lies between its frames is not sound
    damage = layout.damage or state.damage
    return f"is cut short or damaged: {damage}; {delivered / state.rate_hz:.3f} s decode" if damage else ""


def audio_part(waveform: Waveform) -> dict[str, Any]:
    """A clip as a part of a chat message: 16-bit WAV in base64. Samples beyond full scale are clipped."""
    wav = io.BytesIO()
    soundfile.write(wav, waveform, SAMPLE_RATE_HZ, subtype="PCM_16", format="WAV")
    data = base64.b64encode(wav.getvalue()).decode("ascii")
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
