"""Clips -> WAVs and what is known of them, in several processes.

Takes media files and where their WAVs go, gives for each clip its measures or the reason why it cannot be used. A WAV
that is there already is not made again, so a run that was killed goes on; files that failed are tried again. All
measures come from the 16-bit samples as written: they are the same whichever run wrote them. A decoder that crashes on
a hostile file costs that file, not the run. Not taken: threads (decoders of some formats hold the lock of the
interpreter), and a journal of finished clips, which would be a second truth beside the files.
"""

import hashlib
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile

from harken.data.audio import SAMPLE_RATE_HZ, load_waveform
from harken.errors import AudioError
from harken.prepare.media_decoding import extract_wav
from harken.prepare.snr import FRAME_SAMPLES, frame_powers, snr_db
from harken.types import AudioSpan

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
_CHUNK = 8
CRASHED = "clip crashed the decoder; fetch the file again"


@dataclass(frozen=True, slots=True)
class Measured:
    """One clip: its duration, its signal-to-noise ratio (see `snr.py`), and a hash of its samples."""

    duration_s: float
    snr_db: float
    digest: str


@dataclass(frozen=True, slots=True)
class Extraction:
    """Make `target` from `source`."""

    source: Path
    target: Path


def extract_clips(
    jobs: Sequence[Extraction], workers: int, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Measured | str]:
    """Measures, or the reason why there is no WAV, for each job in order; `on_progress` gets (done, total)."""
    return _all(_extract, jobs, workers, on_progress)


def measure_clips(
    parts: Sequence[AudioSpan], workers: int, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Measured | str]:
    """The same for clips that stay where they are and are read as training reads them."""
    return _all(_measure_part, parts, workers, on_progress)


def _all(
    function: Callable[[ItemT], Measured | str],
    items: Sequence[ItemT],
    workers: int,
    on_progress: Callable[[int, int], None],
) -> list[Measured | str]:
    results: list[Measured | str] = []
    for result in in_processes(function, items, workers):
        results.append(result)
        on_progress(len(results), len(items))
    return results


def in_processes(function: Callable[[ItemT], ResultT], items: Sequence[ItemT], workers: int) -> Iterator[ResultT | str]:
    """`function` of each item, in order; CRASHED for an item that ends its process."""
    done = 0
    while done < len(items):
        try:
            with _pool(min(workers, len(items) - done)) as pool:
                for result in pool.map(function, items[done:], chunksize=_CHUNK):
                    yield result
                    done += 1
        except BrokenProcessPool:  # one of the items under way did it: each alone, until it is found
            for item in items[done:]:
                result = _alone(function, item)
                yield result
                done += 1
                if result == CRASHED:
                    break


def _alone(function: Callable[[ItemT], ResultT], item: ItemT) -> ResultT | str:
    with _pool(1) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            return CRASHED


def _pool(workers: int) -> ProcessPoolExecutor:
    # A fresh interpreter, not a fork: the parent may hold threads.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """A worker whose parent was killed ends at once, whatever it was writing; the next run removes what it left."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _extract(job: Extraction) -> Measured | str:
    try:
        if not job.target.exists():
            extract_wav(job.source, job.target)
        return measure_wav(job.target)
    except AudioError as error:
        return _fault(error, job.source)


def _fault(error: AudioError, path: Path) -> str:
    """`clip is cut: ... (<path>)`: the kind of fault first, so that a card can count by it."""
    return f"clip {str(error).removeprefix(f'{path}: ')} ({path})"


def measure_wav(path: Path) -> Measured:
    """Measures of a 16 kHz mono 16-bit WAV, in constant memory."""
    digest, powers, n_samples = hashlib.sha256(), [], 0
    with soundfile.SoundFile(path) as file:
        for block in file.blocks(FRAME_SAMPLES * 256, dtype="int16"):
            digest.update(block.astype("<i2").tobytes())
            powers.append(frame_powers(block.astype(np.int16, copy=False)))
            n_samples += block.size
    return Measured(n_samples / SAMPLE_RATE_HZ, snr_db(np.concatenate(powers)), digest.hexdigest())


def _measure_part(part: AudioSpan) -> Measured | str:
    try:
        waveform = load_waveform(part.path, part.start_s, part.end_s)
    except AudioError as error:
        return _fault(error, part.path)
    samples = np.clip(np.rint(waveform * 32768), -32768, 32767).astype("<i2")
    digest = hashlib.sha256(samples.tobytes()).hexdigest()
    return Measured(samples.size / SAMPLE_RATE_HZ, snr_db(frame_powers(samples)), digest)
