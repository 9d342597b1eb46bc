"""Extract clips from media files as WAVs, and measure clips, in several processes.

Each clip gives its `ClipMeasures`, or the reason why it cannot be used, and for the leak check its print. A WAV that
exists is not made again unless its source has changed, so a run that was killed can go on; files that failed are tried
again. All measures are computed from the 16-bit samples as written, so that they are the same whichever run wrote them.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harken.data.audio import SAMPLE_RATE_HZ, SILENT_POWER, load_waveform, wav_bytes
from harken.errors import AudioError
from harken.prepare.snr import frame_powers, snr_db
from harken.prepare.sound_print import SoundPrint, sound_print
from harken.prepare.worker_processes import ItemT, map_in_processes
from harken.system.files import replacing
from harken.system.progress import OnProgress, no_progress
from harken.types import AudioSpan, Waveform

_COARSEST_NS = 2_000_000_000
"""Some file systems keep times of change in steps of 2 s."""


@dataclass(frozen=True, slots=True)
class ClipMeasures:
    """Measures of the 16-bit samples of a clip.

    Attributes:
        snr_db: its signal-to-noise ratio (snr.py).
        digest: a hash of the samples.
        silent: whether the mean power is below -80 dB, as where channels cancel each other out.
        at_full_scale: whether a sample has the largest value, as where louder ones were clipped.
    """

    duration_s: float
    snr_db: float
    digest: str
    silent: bool = False
    at_full_scale: bool = False


OnClip = Callable[[AudioSpan, ClipMeasures, SoundPrint | None], None]
"""Takes a clip that could be used, its measures and its print: None for one that is too short or too quiet to have
one."""


@dataclass(frozen=True, slots=True)
class ExtractionJob:
    """The media file to read and the WAV to write."""

    source: Path
    target: Path


def extract_clips(
    jobs: Sequence[ExtractionJob], workers: int, on_progress: OnProgress = no_progress, on_clip: OnClip | None = None
) -> list[ClipMeasures | str]:
    """Run the jobs.

    Args:
        on_clip: takes each WAV as soon as it is there; prints are made only then.

    Returns:
        For each job, in order, the measures of its WAV or the reason why there is none.
    """
    spans = [AudioSpan(job.target) for job in jobs]
    return _run(_extract if on_clip is None else _extract_with_print, jobs, spans, workers, on_progress, on_clip)


def measure_clips(
    spans: Sequence[AudioSpan], workers: int, on_progress: OnProgress = no_progress, on_clip: OnClip | None = None
) -> list[ClipMeasures | str]:
    """Measure clips that stay where they are, read as training reads them; arguments and results as those of
    `extract_clips`."""
    return _run(_measure if on_clip is None else _measure_with_print, spans, spans, workers, on_progress, on_clip)


def extract_wav(source: Path, target: Path) -> None:
    """Write the sound of `source` to `target` as 16 kHz mono 16-bit WAV, read by the rules of `data/audio.py`.

    The WAV gets the time of change of `source`, by which `_is_current` knows it. Input that is 16 kHz mono 16-bit
    already comes out bit for bit. Raises AudioError, and writes nothing, where the sound cannot be used.
    """
    changed = source.stat().st_mtime_ns if source.exists() else 0
    samples = in_16_bits(load_waveform(source))
    with replacing(target) as temporary:
        temporary.write_bytes(wav_bytes(samples))
        with contextlib.suppress(OSError):  # some file systems set no times; the WAV will be made again there
            os.utime(temporary, ns=(changed, changed))


def _is_current(target: Path, source: Path) -> bool:
    """Whether the WAV was made from the source as it is now: their times of change are equal, and nothing was done to
    the source after the WAV was written, such as replacing it by a file with an older time."""
    if not target.exists() or not source.exists():
        return target.exists()
    made, now = target.stat(), source.stat()
    return abs(made.st_mtime_ns - now.st_mtime_ns) <= _COARSEST_NS and now.st_ctime_ns <= made.st_ctime_ns


def measure_wav(path: Path) -> ClipMeasures:
    """Measure a clip as it is in training. Raises AudioError as `load_waveform`."""
    return _measured(load_waveform(path))[0]


_Measured = tuple[ClipMeasures | str, SoundPrint | None]


def _run(
    function: Callable[[ItemT], _Measured],
    items: Sequence[ItemT],
    spans: Sequence[AudioSpan],
    workers: int,
    on_progress: OnProgress,
    on_clip: OnClip | None,
) -> list[ClipMeasures | str]:
    results: list[ClipMeasures | str] = []
    for span, result in zip(spans, map_in_processes(function, items, workers), strict=True):
        measures, sound = (result, None) if isinstance(result, str) else result
        if on_clip is not None and isinstance(measures, ClipMeasures):
            on_clip(span, measures, sound)
        results.append(measures)
        on_progress(len(results), len(items))
    return results


def _extract(job: ExtractionJob, *, with_print: bool = False) -> _Measured:
    try:
        if not _is_current(job.target, job.source):
            job.target.unlink(missing_ok=True)  # should the source have become unreadable
            extract_wav(job.source, job.target)
        return _measured(load_waveform(job.target), with_print)
    except AudioError as error:
        return _reason(error, job.source), None


def _extract_with_print(job: ExtractionJob) -> _Measured:
    return _extract(job, with_print=True)


def _measure(span: AudioSpan, *, with_print: bool = False) -> _Measured:
    try:
        return _measured(load_waveform(span.path, span.start_s, span.end_s, truncated=span.truncated), with_print)
    except AudioError as error:
        return _reason(error, span.path), None


def _measure_with_print(span: AudioSpan) -> _Measured:
    return _measure(span, with_print=True)


def _measured(waveform: Waveform, with_print: bool = False) -> tuple[ClipMeasures, SoundPrint | None]:
    samples = in_16_bits(waveform)
    measures = ClipMeasures(
        samples.size / SAMPLE_RATE_HZ,
        snr_db(frame_powers(samples)),
        digest_of(samples),
        silent=float(np.vdot(waveform, waveform)) < SILENT_POWER * waveform.size,
        at_full_scale=bool(samples.max() == 32767 or samples.min() == -32768),
    )
    return measures, sound_print(samples) if with_print else None


def digest_of(samples: NDArray[np.int16]) -> str:
    """A hash of samples, equal for equal samples only."""
    return hashlib.sha256(samples.tobytes()).hexdigest()


def in_16_bits(waveform: Waveform) -> NDArray[np.int16]:
    """The samples of a waveform as a 16-bit WAV file holds them."""
    return np.clip(np.rint(waveform * 32768), -32768, 32767).astype("<i2")


def _reason(error: AudioError, path: Path) -> str:
    """`clip is cut: ... (<path>)`: the kind of fault comes first, so that a card can count by it."""
    return f"clip {str(error).removeprefix(f'{path}: ')} ({path})"
