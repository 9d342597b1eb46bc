"""How many CPU seconds harken needs to load 1,000 clips, against a loader that checks nothing.

The clips are WAV, FLAC, Ogg Vorbis and MP3 of 10 s, half of them 44.1 kHz stereo and half 16 kHz mono. The loader to
compare with is the one that harken had before it compared stated with delivered length: libsndfile's blocks, NumPy's
mean over channels, a test for numbers that are not finite, and soxr over the whole clip. Both give equal samples on
these clips, which is checked. One loader and the other take turns, and each kind has a median ratio over the rounds.
Prints a table.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from harken.data.audio import SAMPLE_RATE_HZ, check_audio, load_waveform

CLIP_S = 10
FORMATS = ("wav", "flac", "ogg", "mp3")
SHAPES = ((44_100, 2), (16_000, 1))
FILES_A_KIND = 5


def load_without_checks(path: Path) -> NDArray[np.float32]:
    """Mono at 16 kHz, as harken loaded it before."""
    blocks = []
    with soundfile.SoundFile(path) as file:
        for block in file.blocks(1 << 18, dtype="float32", always_2d=True):
            if not np.isfinite(block).all(axis=1).all():
                raise ValueError(path)
            blocks.append(block.mean(axis=1, dtype=np.float64).astype(np.float32))
        rate_hz = file.samplerate
    mono = np.concatenate(blocks)
    return mono if rate_hz == SAMPLE_RATE_HZ else soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ, quality="HQ")


def write_clips(folder: Path) -> dict[str, list[Path]]:
    """Kind -> its files: tones with noise, never at full scale."""
    kinds: dict[str, list[Path]] = {}
    for rate_hz, channels in SHAPES:
        t = np.arange(CLIP_S * rate_hz) / rate_hz
        for extension in FORMATS:
            paths = []
            for number in range(FILES_A_KIND):
                rng = np.random.default_rng(number)
                tones = 0.3 * np.sin(2 * np.pi * 440 * t)[:, None] + rng.normal(0, 0.05, (len(t), channels))
                paths.append(folder / f"{rate_hz}_{number}.{extension}")
                soundfile.write(paths[-1], tones, rate_hz)
            kinds[f"{extension.upper()}, {rate_hz / 1000:g} kHz, {('mono', 'stereo')[channels - 1]}"] = paths
    return kinds


def cpu_ms(load: Callable[[Path], object], paths: list[Path], n: int) -> float:
    """CPU milliseconds a clip over n clips."""
    start = time.process_time()
    for number in range(n):
        load(paths[number % len(paths)])
    return 1000 * (time.process_time() - start) / n


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clips", type=int, default=1000)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    loaders = {"without checks": load_without_checks, "harken": load_waveform, "check only": check_audio}
    with tempfile.TemporaryDirectory() as name:
        kinds = write_clips(Path(name))
        n = max(1, chosen.clips // (len(kinds) * chosen.rounds))
        total = dict.fromkeys(loaders, 0.0)
        print(f"{n * chosen.rounds * len(kinds)} clips of {CLIP_S} s; CPU ms a clip, medians of {chosen.rounds} rounds")
        print("| clips | without checks | harken | ratio | check only |")
        print("|---|---:|---:|---:|---:|")
        for kind, paths in kinds.items():
            assert all(np.array_equal(load_waveform(path), np.clip(load_without_checks(path), -1, 1)) for path in paths)
            rounds = [{key: cpu_ms(load, paths, n) for key, load in loaders.items()} for _ in range(chosen.rounds)]
            before, after, check = (statistics.median(times[key] for times in rounds) for key in loaders)
            ratio = statistics.median(times["harken"] / times["without checks"] for times in rounds)
            print(f"| {kind} | {before:.2f} | {after:.2f} | {ratio:.2f} | {check:.2f} |")
            for key in loaders:
                total[key] += sum(times[key] for times in rounds) * n / 1000
        print(
            f"all: {total['without checks']:.2f} s without checks, {total['harken']:.2f} s with harken, "
            f"ratio {total['harken'] / total['without checks']:.2f}"
        )


if __name__ == "__main__":
    main()
