"""Decodes an audio file, or a part of one, to the waveform that models hear: float32, mono, 16 kHz.

Reads every format that libsndfile decodes. A file that cannot be used is an AudioError that says what is wrong with it.
Stereo is averaged. Only the samples of the part are decoded and resampled, so nothing around it is audible.
"""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from harken.errors import AudioError
from harken.types import Waveform

SAMPLE_RATE_HZ = 16_000
_BLOCK_FRAMES = 1 << 18
_END_TOLERANCE_S = 0.1
"""How far beyond its file a part may end, because lists round durations and codecs pad."""


def load_waveform(path: Path, start_s: float = 0.0, end_s: float | None = None) -> Waveform:
    """Decode a file, or its part from `start_s` up to `end_s`, average its channels, resample to 16 kHz (soxr, HQ).

    Returns:
        [S] float32, mono, finite, S >= 1 however short the clip is.

    Raises:
        AudioError: the file is missing, cannot be decoded, holds no samples, samples that are not finite, more than
            two channels, or ends before the part does.
    """
    blocks = list(_mono_blocks(path, start_s, end_s))
    rate_hz = blocks[0][1]
    mono = np.concatenate([block for block, _ in blocks])
    if rate_hz == SAMPLE_RATE_HZ:
        return mono
    resampled = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ, quality="HQ").astype(np.float32, copy=False)
    return resampled if resampled.size else mono[:1]


def check_audio(path: Path, start_s: float = 0.0, end_s: float | None = None) -> float:
    """Decode a file, or its part, and return its duration in seconds. Raises AudioError as `load_waveform` does."""
    blocks = [(block.shape[0], rate_hz) for block, rate_hz in _mono_blocks(path, start_s, end_s)]
    return sum(n_frames for n_frames, _ in blocks) / blocks[0][1]


def _mono_blocks(path: Path, start_s: float, end_s: float | None) -> Iterator[tuple[NDArray[np.float32], int]]:
    """(block of samples, the file's own rate) of the part, channels averaged; at least one sample in all."""
    if not path.is_file():
        raise AudioError(f"{path}: no such file; check the clip's name in the record and audio_root")
    n_frames = 0
    try:
        with soundfile.SoundFile(path) as file:
            if file.channels > 2:
                raise AudioError(
                    f"{path}: {file.channels} channels; only mono and stereo are mixed down, "
                    f"convert it first, for example `ffmpeg -i {path.name} -ac 1 mono.wav`"
                )
            first, frames = _frames(path, file, start_s, end_s)
            for samples in file.blocks(_BLOCK_FRAMES, dtype="float32", always_2d=True, frames=frames):
                finite = np.isfinite(samples).all(axis=1)
                if not finite.all():
                    place_s = (first + n_frames + int(np.argmin(finite))) / file.samplerate
                    raise AudioError(
                        f"{path}: not a finite number (NaN or infinity) at {place_s:.3f} s; "
                        "export the clip again, or remove its record"
                    )
                n_frames += samples.shape[0]
                if samples.size:
                    yield samples.mean(axis=1, dtype=np.float64).astype(np.float32), file.samplerate
    except soundfile.SoundFileError as error:
        raise AudioError(
            f"{path}: cannot be decoded ({str(error).rstrip('.')}); fetch the file again, "
            "or convert it to WAV, FLAC, Ogg or MP3"
        ) from error
    if n_frames == 0:
        raise AudioError(f"{path}: holds no samples; fetch the file again, or remove its record")


def _frames(path: Path, file: soundfile.SoundFile, start_s: float, end_s: float | None) -> tuple[int, int]:
    """(first frame, number of frames or -1 for all that follow) of a part; the file is positioned at the first."""
    if start_s == 0 and end_s is None:
        return 0, -1
    duration_s = file.frames / file.samplerate
    if start_s >= duration_s or (end_s is not None and end_s > duration_s + _END_TOLERANCE_S):
        raise AudioError(
            f"{path}: the part from {start_s:g} s to {'its end' if end_s is None else f'{end_s:g} s'} is not in the "
            f"file, which lasts {duration_s:.3f} s; correct start_s and end_s"
        )
    first = min(round(start_s * file.samplerate), file.frames - 1)
    file.seek(first)
    if end_s is None:
        return first, -1
    return first, max(1, min(round(end_s * file.samplerate), file.frames) - first)


def audio_part(waveform: Waveform) -> dict[str, Any]:
    """A clip as a part of a chat message: 16-bit WAV in base64. Samples beyond full scale are clipped."""
    wav = io.BytesIO()
    soundfile.write(wav, waveform, SAMPLE_RATE_HZ, subtype="PCM_16", format="WAV")
    data = base64.b64encode(wav.getvalue()).decode("ascii")
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
