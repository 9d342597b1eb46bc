"""Finds clips with the same sound, also where one was re-encoded, resampled, trimmed, made louder or made noisier.

A print has one 32-bit word for each 16 ms of a clip (after Haitsma and Kalker, "A highly robust audio fingerprinting
system", 2002): bit m says whether the difference between the energies of the bands m and m + 1 grew over the last
128 ms. The 33 bands lie between 300 and 3,400 Hz, which every codec and sample rate keeps. Two clips are the same
where, at some shift, the share of bits that differ is far below the half that chance gives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from harken.data.audio import SAMPLE_RATE_HZ

HOP, WINDOW, LAG = 256, 4096, 8
"""Samples between two words, samples of the window of a word, and words over which an energy is compared."""
_N_BANDS, _LOWEST_HZ, _HIGHEST_HZ = 33, 300.0, 3400.0
_QUIETEST = 1e-5
"""Words whose energy is below this share of the loudest one's (-50 dB) do not count: they would be noise."""
MIN_WORDS = 24
"""The smallest number of words that two clips must share. A shorter clip has no print."""
_CERTAINTY = 7.0
"""How many standard deviations the share of differing bits lies below one half, at least. Two takes of the same two
words by one speaker, about a second long, lie up to 6 below it [O]."""
_BITS_PER_WORD = 2.0
"""How many of a word's 32 bits are independent of its neighbours': windows overlap 16 times."""
_MOST_DIFFERENT = 0.30
"""The largest share of differing bits of two clips that are the same, however long they are. Haitsma and Kalker take
0.35, which melodies of one drum, each made apart, reach too [O]."""
_MOST_POSTINGS = 2_000
"""A key that occurs more often in the index says nothing."""
_MOST_CANDIDATES = 12

Words = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class SoundPrint:
    """The words of a clip, [F] uint32, and which of them are loud enough to count, [F] bool."""

    words: Words
    loud: NDArray[np.bool_]


def sound_print(samples: NDArray[np.int16]) -> SoundPrint | None:
    """The print of 16 kHz samples [S]; None for a clip that is too short or too quiet to have one."""
    n_frames = (samples.size - WINDOW) // HOP + 1
    if n_frames < LAG + MIN_WORDS:
        return None
    energies = np.concatenate([_energies(samples, first, n_frames) for first in range(0, n_frames, 1024)])
    differences = np.diff(energies, axis=1)
    bits = differences[LAG:] < differences[:-LAG]
    words = (bits << np.arange(_N_BANDS - 1, dtype=np.uint32)).sum(axis=1, dtype=np.uint32)
    level = energies.sum(axis=1)
    level = np.minimum(level[LAG:], level[:-LAG])
    loud = level > max(_QUIETEST * float(level.max()), 1.0)
    return SoundPrint(words, loud) if loud.sum() >= MIN_WORDS else None


def _energies(samples: NDArray[np.int16], first: int, n_frames: int) -> NDArray[np.float64]:
    """The energies [frames, bands] of up to 1,024 frames from `first`."""
    last = min(first + 1024, n_frames)
    part = samples[first * HOP : (last - 1) * HOP + WINDOW].astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(part, WINDOW)[::HOP]
    powers = np.square(np.abs(np.fft.rfft(frames * _window(), axis=1)))
    return np.add.reduceat(powers, _band_edges(), axis=1)[:, :-1]


@cache
def _window() -> NDArray[np.float32]:
    return np.hanning(WINDOW).astype(np.float32)


@cache
def _band_edges() -> NDArray[np.intp]:
    """The first bin of each band, and the bin behind the last band."""
    edges_hz = np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, _N_BANDS + 1)
    return np.rint(edges_hz * WINDOW / SAMPLE_RATE_HZ).astype(np.intp)


class PrintIndex:
    """Prints of many clips, in which the clip with the same sound as another is found.

    Each word is looked up by its lower and its upper 16 bits. The clips and shifts that most lookups agree on are
    compared bit by bit.
    """

    def __init__(self, prints: Mapping[str, SoundPrint]) -> None:
        self._names = list(prints)
        self._prints = list(prints.values())
        starts = np.cumsum([0, *(len(p.words) for p in self._prints)])
        self._starts = starts
        words = np.concatenate([p.words for p in self._prints]) if prints else np.zeros(0, np.uint32)
        places = np.flatnonzero(np.concatenate([p.loud for p in self._prints])) if prints else np.zeros(0, np.intp)
        self._halves = []
        for shift in (0, 16):
            keys = (words[places] >> np.uint32(shift) & np.uint32(0xFFFF)).astype(np.int64)
            order = np.argsort(keys, kind="stable")
            first = np.searchsorted(keys[order], np.arange(0x10001))
            self._halves.append((first, places[order]))

    def __len__(self) -> int:
        return len(self._names)

    def find(self, wanted: SoundPrint) -> str | None:
        """The name of the clip with the same sound; the most similar one where there are several, None for none."""
        best = min((self._compared(wanted, *candidate) for candidate in self._candidates(wanted)), default=None)
        return None if best is None or best[0] > 0 else best[1]

    def _candidates(self, wanted: SoundPrint) -> Sequence[tuple[int, int]]:
        """(clip, shift) pairs, those with the most equal keys first."""
        frames = np.flatnonzero(wanted.loud)
        shifts = []
        for shift, (first, places) in zip((0, 16), self._halves, strict=True):
            keys = (wanted.words[frames] >> np.uint32(shift) & np.uint32(0xFFFF)).astype(np.int64)
            counts = first[keys + 1] - first[keys]
            for frame, key in zip(frames[counts <= _MOST_POSTINGS], keys[counts <= _MOST_POSTINGS], strict=True):
                shifts.append(places[first[key] : first[key + 1]] - frame)
        if not shifts:
            return []
        # A place minus the frame is the same number for all words of a clip at one shift. Neighbours count together.
        values, counts = np.unique(np.concatenate(shifts), return_counts=True)
        best = np.argsort(-counts, kind="stable")[:_MOST_CANDIDATES]
        pairs = []
        for value in values[best]:
            for clip in self._clips_at(int(value), len(wanted.words)):
                pairs.append((clip, int(value - self._starts[clip])))
        return pairs

    def _clips_at(self, start: int, n_words: int) -> Sequence[int]:
        """The clips that `n_words` words from the place `start` touch."""
        first = max(0, int(np.searchsorted(self._starts, start, side="right")) - 1)
        last = int(np.searchsorted(self._starts, start + n_words, side="left"))
        return range(first, min(last, len(self._prints)))

    def _compared(self, wanted: SoundPrint, clip: int, shift: int) -> tuple[float, str]:
        """(how far the share of differing bits lies above the limit, name of the clip) at the best near shift."""
        return min(
            (excess(wanted, self._prints[clip], near), self._names[clip]) for near in range(shift - 1, shift + 2)
        )


def excess(a: SoundPrint, b: SoundPrint, shift: int) -> float:
    """How far the share of bits of `a` that differ from `b`, which begins `-shift` words later, lies above the limit.

    1 where the two share too few words, or less than half of the shorter clip's.
    """
    first, last = max(0, -shift), min(len(a.words), len(b.words) - shift)
    if last - first < MIN_WORDS:
        return 1.0
    both = a.loud[first:last] & b.loud[first + shift : last + shift]
    n_words = int(both.sum())
    if n_words < MIN_WORDS or 2 * n_words < min(int(a.loud.sum()), int(b.loud.sum())):
        return 1.0
    different = np.bitwise_count(a.words[first:last] ^ b.words[first + shift : last + shift])[both].sum()
    limit = min(_MOST_DIFFERENT, 0.5 - _CERTAINTY * 0.5 / (_BITS_PER_WORD * n_words) ** 0.5)
    return float(different) / (32 * n_words) - limit
