"""What identifies a clip by its sound: a hash of its samples, and a print that finds copies which were changed.

The leak check computes both for the clips of a training set and of the benchmarks, in several processes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harken.data.audio import load_waveform
from harken.errors import AudioError
from harken.prepare.clip_extraction import digest_of, in_16_bits
from harken.prepare.sound_print import SoundPrint, sound_print
from harken.prepare.worker_processes import map_in_processes
from harken.types import AudioSpan


@dataclass(frozen=True, slots=True)
class ClipIdentity:
    """The hash of a clip's 16-bit samples, and its print: None for a clip that is too short or too quiet for one."""

    digest: str
    print: SoundPrint | None


def identify_clips(spans: Sequence[AudioSpan], workers: int) -> Iterator[tuple[AudioSpan, ClipIdentity]]:
    """Yield the clips that exist and can be decoded, each with its identity, in the order of `spans`."""
    present = [span for span in dict.fromkeys(spans) if span.path.is_file()]
    if present:
        for span, identity in zip(present, map_in_processes(_identify, present, workers), strict=True):
            if isinstance(identity, ClipIdentity):
                yield span, identity


def _identify(span: AudioSpan) -> ClipIdentity | None:
    try:
        samples = in_16_bits(load_waveform(span.path, span.start_s, span.end_s, truncated=span.truncated))
    except AudioError:
        return None
    return ClipIdentity(digest_of(samples), sound_print(samples))
