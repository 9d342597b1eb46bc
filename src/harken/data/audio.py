"""Reads an audio file, or a part of one, as the waveform that models hear: float32, mono, 16 kHz, within [-1, 1].

Training, evaluation, preparation, generation, served models and the report all read sound here, so one set of rules
holds everywhere. What is decoded is what is returned, and two loads give equal samples:

- channels are averaged, however many there are;
- the mix is resampled with soxr (HQ), and `n_samples` is known without resampling;
- samples beyond full scale are clipped, and the clip is marked;
- a file that ends before its stated length, or that has damage, is refused with both lengths, or used as it is where
  `truncated` is "accept";
- whatever a decoder raises becomes an AudioError that names the file.

`audio_layout.py` says which library decodes a file and what its header states, `audio_decoders.py` decodes, and
`audio_mix.py` mixes and resamples.
"""

import base64
import io
import math
import mmap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import av.error
import soundfile
from numpy.typing import NDArray

from harken.data.audio_decoders import Decoding, decode, open_regular
from harken.data.audio_frames import MOST_SEGMENTS
from harken.data.audio_layout import Layout, layout_of
from harken.data.audio_mix import SAMPLE_RATE_HZ, SILENT_POWER, ClipFacts, Mix, resampled_length
from harken.errors import AudioError
from harken.types import Waveform

_END_TOLERANCE_S = 0.1
"""How far beyond its file a part may end, because lists round durations and codecs pad."""

__all__ = [
    "SAMPLE_RATE_HZ",
    "SILENT_POWER",
    "ClipFacts",
    "audio_part",
    "check_audio",
    "load_waveform",
    "resampled_length",
]

Truncated = Literal["refuse", "accept"]


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
) -> tuple[Mix, Decoding]:
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
) -> tuple[Mix, Decoding]:
    state, mix = Decoding(), Mix(resample)
    for block in decode(file, data, layout, state, *part):
        mix.add(block, state)
    return mix, state


def _check_part(state: Decoding, mix: Mix, start_s: float, end_s: float | None) -> None:
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
    data = base64.b64encode(wav_bytes(waveform)).decode("ascii")
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


def wav_bytes(samples: NDArray[Any]) -> bytes:
    """The content of a 16 kHz mono 16-bit WAV. Files are written from it, because libsndfile does not say that a disk
    is full."""
    wav = io.BytesIO()
    soundfile.write(wav, samples, SAMPLE_RATE_HZ, subtype="PCM_16", format="WAV")
    return wav.getvalue()
