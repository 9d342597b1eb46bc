"""Extract clips from media files as WAVs, and measure clips, in several processes.

Each clip gives its `ClipMeasures`, or the reason why it cannot be used. A WAV that exists is not made again, so a run
that was killed can go on; files that failed are tried again. All measures are computed from the 16-bit samples as
written, so that they are the same whichever run wrote them.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from harken.data.audio import SAMPLE_RATE_HZ, load_waveform
from harken.errors import AudioError
from harken.prepare.media_decoding import extract_wav
from harken.prepare.snr import FRAME_SAMPLES, frame_powers, snr_db
from harken.prepare.worker_processes import ItemT, map_in_processes
from harken.system.progress import OnProgress, no_progress
from harken.types import AudioSpan


@dataclass(frozen=True, slots=True)
class ClipMeasures:
    """The duration of a clip, its signal-to-noise ratio (snr.py), and a hash of its samples."""

    duration_s: float
    snr_db: float
    digest: str


@dataclass(frozen=True, slots=True)
class ExtractionJob:
    """The media file to read and the WAV to write."""

    source: Path
    target: Path


def extract_clips(
    jobs: Sequence[ExtractionJob], workers: int, on_progress: OnProgress = no_progress
) -> list[ClipMeasures | str]:
    """Run the jobs. Returns for each, in order, the measures of its WAV or the reason why there is none."""
    return _run(_extract, jobs, workers, on_progress)


def measure_clips(
    spans: Sequence[AudioSpan], workers: int, on_progress: OnProgress = no_progress
) -> list[ClipMeasures | str]:
    """Measure clips that stay where they are, read as training reads them; results as those of `extract_clips`."""
    return _run(_measure_span, spans, workers, on_progress)


def measure_wav(path: Path) -> ClipMeasures:
    """Measure a 16 kHz mono 16-bit WAV in constant memory."""
    digest, powers, n_samples = hashlib.sha256(), [], 0
    with soundfile.SoundFile(path) as file:
        for block in file.blocks(FRAME_SAMPLES * 256, dtype="int16"):
            digest.update(block.astype("<i2").tobytes())
            powers.append(frame_powers(block.astype(np.int16, copy=False)))
            n_samples += block.size
    return ClipMeasures(n_samples / SAMPLE_RATE_HZ, snr_db(np.concatenate(powers)), digest.hexdigest())


def _run(
    function: Callable[[ItemT], ClipMeasures | str], items: Sequence[ItemT], workers: int, on_progress: OnProgress
) -> list[ClipMeasures | str]:
    results: list[ClipMeasures | str] = []
    for result in map_in_processes(function, items, workers):
        results.append(result)
        on_progress(len(results), len(items))
    return results


def _extract(job: ExtractionJob) -> ClipMeasures | str:
    try:
        if not job.target.exists():
            extract_wav(job.source, job.target)
        return measure_wav(job.target)
    except AudioError as error:
        return _reason(error, job.source)


def _measure_span(span: AudioSpan) -> ClipMeasures | str:
    try:
        waveform = load_waveform(span.path, span.start_s, span.end_s)
    except AudioError as error:
        return _reason(error, span.path)
    samples = np.clip(np.rint(waveform * 32768), -32768, 32767).astype("<i2")
    digest = hashlib.sha256(samples.tobytes()).hexdigest()
    return ClipMeasures(samples.size / SAMPLE_RATE_HZ, snr_db(frame_powers(samples)), digest)


def _reason(error: AudioError, path: Path) -> str:
    """`clip is cut: ... (<path>)`: the kind of fault comes first, so that a card can count by it."""
    return f"clip {str(error).removeprefix(f'{path}: ')} ({path})"
