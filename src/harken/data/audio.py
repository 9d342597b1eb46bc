"""One clip: an audio file -> float32 mono 16 kHz.

Takes a path to anything libsndfile decodes, gives a `Waveform`, or an AudioError that says what is wrong with the file.
Stereo is mixed, never cut to its first channel. Not taken: mixing down more than two channels (which weights are right
depends on the layout, which the file does not say), and repairing a bad clip: the record is listed instead.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from harken.errors import AudioError
from harken.types import Waveform

SAMPLE_RATE_HZ = 16_000
_BLOCK_FRAMES = 1 << 18


def load_waveform(path: Path) -> Waveform:
    """Decode a file, average its channels, resample to 16 kHz (soxr, high quality).

    Returns:
        [S] float32, mono, finite, S >= 1 however short the clip is.

    Raises:
        AudioError: the file is missing, cannot be decoded, holds no samples, samples that are not finite, or more than
            two channels.
    """
    blocks = list(_mono_blocks(path))
    rate_hz = blocks[0][1]
    mono = np.concatenate([block for block, _ in blocks])
    if rate_hz == SAMPLE_RATE_HZ:
        return mono
    resampled = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ, quality="HQ").astype(np.float32, copy=False)
    return resampled if resampled.size else mono[:1]


def check_audio(path: Path) -> float:
    """Decode a file without resampling or keeping it: duration in seconds, or the AudioError of `load_waveform`."""
    blocks = [(block.shape[0], rate_hz) for block, rate_hz in _mono_blocks(path)]
    return sum(n_frames for n_frames, _ in blocks) / blocks[0][1]


def _mono_blocks(path: Path) -> Iterator[tuple[NDArray[np.float32], int]]:
    """Blocks of the mixed-down clip at the file's own rate; at least one sample in all."""
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
            for samples in file.blocks(_BLOCK_FRAMES, dtype="float32", always_2d=True):
                finite = np.isfinite(samples).all(axis=1)
                if not finite.all():
                    place_s = (n_frames + int(np.argmin(finite))) / file.samplerate
                    raise AudioError(
                        f"{path}: not a finite number (NaN or infinity) at {place_s:.3f} s; "
                        "export the clip again, or leave its record out"
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
        raise AudioError(f"{path}: holds no samples; fetch the file again, or leave its record out")
