"""Measures how many changed copies of clips the leak check finds by sound, and how many it finds that are no copies.

    python benchmarks/leak_recall.py runs/leak_recall [--recordings FOLDER] [--clips 2000] [--seed 1] [--workers 2]

The program makes a set of clips of 2 to 8 s: the recordings of FOLDER that are as long, then melodies, vowels and
sounds made by code. Half of them are the benchmark, the others a training set without copies. Then the clips of the
benchmark are changed in each of ten ways and looked up. The program prints, as a Markdown table, the share that is
found with its 95 % interval, the copies that are taken for another clip, and the matches of clips that are no copies,
with the largest correlation of one second of both, which says whether they are one recording after all.
"""

import argparse
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr
from scipy.signal import fftconvolve

from harken.data.audio import SAMPLE_RATE_HZ, check_audio, load_waveform
from harken.data.built_in_sounds import INSTRUMENTS, SOUNDS, VOWELS, join_with_gaps, make_note, make_sound, make_vowel
from harken.prepare.clip_extraction import in_16_bits
from harken.prepare.sound_print import PrintIndex, SoundPrint, sound_print
from harken.prepare.worker_processes import map_in_processes
from harken.results.formatting import markdown
from harken.stats import mean_interval
from harken.types import Waveform

SHORTEST_S, LONGEST_S = 2.0, 8.0


def encoded(waveform: Waveform, codec: str, container: str, rate_hz: int, bits_per_s: int) -> Waveform:
    """The waveform after an encoder and a decoder."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate_hz)
        stream.bit_rate, stream.layout = bits_per_s, "mono"
        frame = av.AudioFrame.from_ndarray(in_16_bits(waveform)[None], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate_hz)
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            output.mux(stream.encode(part))
    buffer.seek(0)
    with av.open(buffer) as source:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE_HZ)
        parts = [part for frame in source.decode(audio=0) for part in resampler.resample(frame)]
        parts += resampler.resample(None)
    return np.concatenate([part.to_ndarray()[0] for part in parts])


def resampled(waveform: Waveform, rate_hz: int) -> Waveform:
    return np.clip(soxr.resample(soxr.resample(waveform, SAMPLE_RATE_HZ, rate_hz), rate_hz, SAMPLE_RATE_HZ), -1, 1)


def trimmed(waveform: Waveform, rng: np.random.Generator, *, both: bool) -> Waveform:
    """Without up to 2 s at the beginning, or up to 1 s at both ends, and never less than half of the clip."""
    most = min(2 * SAMPLE_RATE_HZ, len(waveform) // 2)
    cut = int(rng.integers(1, most + 1))
    return waveform[cut // 2 : len(waveform) - cut // 2] if both else waveform[cut:]


def noisy(waveform: Waveform, rng: np.random.Generator, snr_db: float) -> Waveform:
    power = float(np.mean(np.square(waveform))) / 10 ** (snr_db / 10)
    return np.clip(waveform + rng.normal(0, power**0.5, waveform.size), -1, 1).astype(np.float32)


CHANGES: dict[str, Callable[[Waveform, np.random.Generator], Waveform]] = {
    "renamed only": lambda w, rng: w,
    "MP3, 64 kbit/s": lambda w, rng: encoded(w, "libmp3lame", "mp3", 44_100, 64_000),
    "Opus, 32 kbit/s": lambda w, rng: encoded(w, "libopus", "ogg", 48_000, 32_000),
    "AAC, 64 kbit/s": lambda w, rng: encoded(w, "aac", "adts", 44_100, 64_000),
    "resampled to 8 kHz": lambda w, rng: resampled(w, 8_000),
    "trimmed at the beginning, up to 2 s": lambda w, rng: trimmed(w, rng, both=False),
    "trimmed at both ends, up to 2 s": lambda w, rng: trimmed(w, rng, both=True),
    "gain from -12 to +6 dB": lambda w, rng: np.clip(w * np.float32(10 ** (rng.uniform(-12, 6) / 20)), -1, 1),
    "noise at 20 dB": lambda w, rng: noisy(w, rng, 20),
    "all of MP3, trim, gain, noise": lambda w, rng: noisy(
        encoded(trimmed(w, rng, both=True), "libmp3lame", "mp3", 44_100, 64_000) * np.float32(0.5), rng, 20
    ),
}


def made_clip(seed: int, number: int) -> Waveform:
    """A melody, a row of vowels or a row of sounds of 3 to 6 s, with a little noise."""
    rng = np.random.default_rng([seed, number])
    n_parts = int(rng.integers(8, 16))
    match number % 3:
        case 0:
            instrument, base_hz = str(rng.choice(INSTRUMENTS)), rng.uniform(200, 500)
            pitches_hz = base_hz * 2 ** (rng.integers(-7, 13, n_parts) / 12)
            parts = [make_note(rng, instrument, float(pitch), rng.uniform(0.25, 0.5)) for pitch in pitches_hz]
        case 1:
            voice_hz = rng.uniform(90, 200)
            parts = [make_vowel(rng, str(rng.choice(VOWELS)), rng.uniform(0.2, 0.5), voice_hz) for _ in range(n_parts)]
        case _:
            parts = [make_sound(rng, str(rng.choice(SOUNDS)), rng.uniform(0.2, 0.5)) for _ in range(n_parts)]
    signal = join_with_gaps(rng, parts)
    return (0.5 * (signal + rng.normal(0, 0.003, signal.size))).astype(np.float32)


def write_clips(folder: Path, recordings: Path | None, n_clips: int, seed: int) -> list[Path]:
    """Write the set, unless it is there. Returns its files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for path in sorted(recordings.rglob("*")) if recordings is not None else ():
        if path.is_file() and len(files) < n_clips and SHORTEST_S <= check_audio(path).duration_s <= LONGEST_S:
            files.append(path)
    for number in range(n_clips - len(files)):
        path = folder / f"made_{number:05d}.wav"
        if not path.exists():
            soundfile.write(path, made_clip(seed, number), SAMPLE_RATE_HZ, subtype="PCM_16")
        files.append(path)
    return files


def prints_of(task: tuple[Path, int, bool]) -> list[SoundPrint | None]:
    """The print of a clip, and with `changed` those of its copies."""
    path, number, changed = task
    waveform = load_waveform(path)
    rng = np.random.default_rng(number)
    copies = [change(waveform, rng) for change in CHANGES.values()] if changed else []
    return [sound_print(in_16_bits(samples)) for samples in (waveform, *copies)]


def correlation(first: Path, second: Path) -> float:
    """The largest correlation of one second of a clip, begun at each half second, with any second of another, 0 to 1.
    Two recordings have about 0.2, one recording has nearly 1."""
    a, b = load_waveform(first).astype(np.float64), load_waveform(second).astype(np.float64)
    second_s = SAMPLE_RATE_HZ
    sums = np.concatenate([[0.0], np.cumsum(b**2)])
    energies = np.maximum(sums[second_s:] - sums[:-second_s], 1e-9)
    best = 0.0
    for start in range(0, len(a) - second_s + 1, second_s // 2):
        part = a[start : start + second_s]
        if np.mean(part**2) > 1e-6:
            products = np.abs(fftconvolve(b, part[::-1], mode="valid"))
            best = max(best, float((products / np.sqrt(energies * (part**2).sum())).max()))
    return best


def main(out: Path, recordings: Path | None, n_clips: int, seed: int, workers: int) -> None:
    files = write_clips(out / "clips", recordings, n_clips, seed)
    order = np.random.default_rng(seed).permutation(len(files))
    tasks = [(files[index], int(index), position % 2 == 0) for position, index in enumerate(order)]
    prints_of_clips = [
        (str(path), changed, prints)
        for (path, _, changed), prints in zip(tasks, map_in_processes(prints_of, tasks, workers), strict=True)
        if not isinstance(prints, str)
    ]
    benchmark = {name: prints[0] for name, changed, prints in prints_of_clips if changed and prints[0] is not None}
    index = PrintIndex(benchmark)
    rows = []
    for number, change in enumerate(CHANGES, start=1):
        results = Counter(
            "no print" if prints[number] is None else {name: "found", None: "missed"}.get(match, "another")
            for name, changed, prints in prints_of_clips
            if name in benchmark and changed
            for match in [index.find(prints[number]) if prints[number] is not None else None]
        )
        n = results.total()
        recall = mean_interval([1.0] * results["found"] + [0.0] * (n - results["found"]), range(n))
        cells = [f"{results[key]:,}" for key in ("found", "another", "missed", "no print")]
        rows.append([change, f"{n:,}", *cells, f"{recall.mean:.1%} [{recall.low:.1%}, {recall.high:.1%}]"])
    others = [(name, prints[0]) for name, changed, prints in prints_of_clips if not changed and prints[0] is not None]
    matches = [(name, match) for name, own in others if (match := index.find(own)) is not None]
    n_short = sum(prints[0] is None for _, _, prints in prints_of_clips)
    n_recorded = sum(not Path(name).is_relative_to(out) for name, _, _ in prints_of_clips)
    print(f"{len(prints_of_clips):,} clips, {n_recorded:,} of them recordings; {n_short:,} without a print\n")
    print(markdown(["copies", "n", "found", "as another clip", "missed", "too little sound", "recall"], rows))
    print(f"\nmatches among {len(others):,} clips that are no copies: {len(matches):,}")
    for name, match in matches:
        print(f"  {name} = {match}: correlation {correlation(Path(name), Path(match)):.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--recordings", type=Path)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1, help="of the made clips, and of which clips are the benchmark")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    main(arguments.out, arguments.recordings, arguments.clips, arguments.seed, arguments.workers)
