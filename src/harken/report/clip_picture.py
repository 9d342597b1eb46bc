"""Draws a clip for the page's player: the outline of its loudness, and its log-mel spectrogram as a small PNG."""

import struct
import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from harken.data.audio import SAMPLE_RATE_HZ
from harken.types import Waveform

COLUMNS, BANDS = 240, 64
"""Width of both pictures, and height of the spectrogram."""
_DYNAMICS_DB = 60.0
_WINDOW = 400
"""Samples of one frame, 25 ms."""
_FFT = 512


@dataclass(frozen=True, slots=True)
class Picture:
    """Pictures of one clip for the player.

    Attributes:
        outline: the loudest sample of each of 240 columns, one character each, "0" to "o" for 0 to 63.
        mel: PNG, 240 x 64, one colour in sixteen steps of opacity; the page chooses the colour.
    """

    duration_s: float
    outline: str
    mel: bytes


def draw_clip(samples: Waveform) -> Picture:
    edges = np.linspace(0, samples.size, COLUMNS + 1).astype(int)
    starts = np.minimum(edges[:-1], samples.size - 1)
    loudest = np.maximum.reduceat(np.abs(samples), starts)
    levels = np.sqrt(np.minimum(loudest / max(float(loudest.max()), 1e-4), 1.0))
    outline = "".join(chr(48 + int(level)) for level in np.round(63 * levels))
    return Picture(samples.size / SAMPLE_RATE_HZ, outline, _png(mel_levels(samples)))


def mel_levels(samples: Waveform) -> NDArray[np.uint8]:
    """[64, 240] log energy of 64 mel bands over time, 0 to 15; the lowest band is the last row.

    15 is the loudest, 0 is 60 dB below it. A column is the mean of frames 10 ms apart, ten at most; in a long clip the
    frames lie further apart.
    """
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW))
    n_frames = min(max(COLUMNS, samples.size // 160), 10 * COLUMNS)
    starts = np.linspace(0, samples.size, n_frames).astype(int)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[starts] * np.hanning(_WINDOW).astype(np.float32)
    bands = (np.abs(np.fft.rfft(frames, _FFT)) ** 2) @ _mel_filters().T
    columns = np.linspace(0, n_frames, COLUMNS + 1).astype(int)
    power = np.add.reduceat(bands, columns[:-1]) / np.diff(columns)[:, None]
    decibel = 10 * np.log10(np.maximum(power.T, 1e-10))
    scaled = np.clip((decibel - decibel.max()) / _DYNAMICS_DB + 1, 0, 1)
    return np.round(15 * scaled[::-1]).astype(np.uint8)


@cache
def _mel_filters() -> NDArray[np.float64]:
    """[64, 257] triangles from 40 Hz to 8 kHz on the mel scale 2595 log10(1 + f / 700)."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (40, 8000))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    f = np.linspace(0, SAMPLE_RATE_HZ / 2, _FFT // 2 + 1)
    rise = (f - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - f) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.maximum(0, np.minimum(rise, fall))
    empty = triangles.sum(axis=1) == 0  # a triangle may lie between two frequencies of the transform
    triangles[empty, np.abs(f - edges[1:-1, None]).argmin(axis=1)[empty]] = 1
    return triangles / triangles.sum(axis=1, keepdims=True)


def _png(levels: NDArray[np.uint8]) -> bytes:
    """[rows, columns] of 0 to 15 as a PNG of one colour in sixteen opacities, four bits per pixel."""
    rows, columns = levels.shape
    packed = (levels[:, 0::2] << 4) | levels[:, 1::2]
    lines = b"".join(b"\0" + line.tobytes() for line in packed)
    header = struct.pack(">IIBBBBB", columns, rows, 4, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", bytes(48)),
        (b"tRNS", bytes(17 * level for level in range(16))),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
