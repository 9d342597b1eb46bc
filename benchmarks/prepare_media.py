"""How fast `harken prepare` extracts sound from videos, beside the `ffmpeg` program, and with how much memory.

The program makes videos like VGGSound's (10 s, H.264 340x256 at 25 frames a second, AAC 48 kHz stereo), 8 different
ones under many names, and one of 10 minutes. It prints a table of these cases:

    ffmpeg        `ffmpeg -vn -ac 1 -ar 16000 -c:a pcm_s16le` once for each clip, one after the other, as shell loops do
    harken        `extract_clips` with one worker, with the measures of the result
    10 times      the same on ten times as many clips, with one worker and with two
    one long file both on the 10 minutes, where starting a program costs nothing

CPU seconds are user + system of all processes; on a busy machine they say more than wall time. Two workers are at most
2 x (CPU of one) / (CPU of two) times as fast as one, and that bound is printed beside the measured figure. The runs
alternate, and the figures are medians of `--repeats`. Memory is the peak of the largest process of
`harken prepare vggsound` at n and at 10 n clips.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np

from harken.prepare.clip_extraction import ExtractionJob, extract_clips, extract_wav

CLIP_S = 10
LONG_S = 600
VGGSOUND_CLIPS = 182_189
FFMPEG, HARKEN = "ffmpeg, a program a clip", "harken, 1 worker"
ONE_WORKER, TWO_WORKERS = "harken, 10 times, 1 worker", "harken, 10 times, 2 workers"
FFMPEG_LONG, HARKEN_LONG = "ffmpeg, one long file", "harken, one long file"


def make_video(path: Path, duration_s: int, seed: int) -> None:
    """Write a video of moving noise with a tone and noise in stereo."""
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        film = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "28"})
        film.width, film.height, film.pix_fmt = 340, 256, "yuv420p"
        track = container.add_stream("aac", rate=48_000)
        track.layout, track.bit_rate = "stereo", 128_000
        base = rng.integers(0, 200, (256, 340, 3), dtype=np.uint8)
        for second in range(duration_s):
            for number in range(25):
                frame = av.VideoFrame.from_ndarray(np.roll(base, 3 * number, axis=1), format="rgb24")
                frame.pts = 25 * second + number
                container.mux(film.encode(frame))
            t = second + np.arange(48_000) / 48_000
            sound = 0.2 * np.sin(2 * np.pi * 440 * t) + rng.normal(0, 0.05, (2, 48_000))
            for start in range(0, 48_000, 1000):
                samples = np.ascontiguousarray(sound[:, start : start + 1000], dtype=np.float32)
                piece = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
                piece.sample_rate, piece.pts = 48_000, 48_000 * second + start
                container.mux(track.encode(piece))
        container.mux(film.encode())
        container.mux(track.encode())


def measure(work: Callable[[], object]) -> tuple[float, float]:
    """(wall seconds, CPU seconds of this process and its children)."""
    wall, cpu = time.perf_counter(), _cpu_s()
    work()
    return time.perf_counter() - wall, _cpu_s() - cpu


def _cpu_s() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def ffmpeg(source: Path, target: Path) -> None:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-threads", "1", "-i", source, "-vn"]
    subprocess.run([*command, "-ac", "1", "-ar", "16000", "-c:a", "pcm_s16le", target], check=True)


def extract_by_ffmpeg(clips: Sequence[Path], out: Path) -> None:
    out.mkdir()
    for clip in clips:
        ffmpeg(clip, out / f"{clip.stem}.wav")
    shutil.rmtree(out)


def extract_by_harken(clips: Sequence[Path], out: Path, workers: int) -> None:
    results = extract_clips([ExtractionJob(clip, out / f"{clip.stem}.wav") for clip in clips], workers)
    assert not any(isinstance(result, str) for result in results), results
    shutil.rmtree(out)


def peak_mib(folder: Path, n: int) -> float:
    """The largest process of a whole command on n clips."""
    names = sorted((folder / "media").iterdir())[:n]
    (folder / "list.csv").write_text("".join(f"{name.name},a label\n" for name in names))
    command = [sys.executable, "-m", "harken", "prepare", "vggsound", "--list", folder / "list.csv"]
    out = folder / f"out{n}"
    run = subprocess.Popen([*command, "--media", folder / "media", "--out", out], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(run.pid, 0)
    assert status == 0, status
    shutil.rmtree(out)
    return usage.ru_maxrss / 1024


def make_clips(folder: Path, n_clips: int) -> list[Path]:
    """Eight videos under ten times as many names as are asked for, and a long one; gives the names."""
    (folder / "media").mkdir()
    for seed in range(8):
        make_video(folder / f"{seed}.mp4", CLIP_S, seed)
    for number in range(10 * n_clips):
        os.link(folder / f"{number % 8}.mp4", folder / "media" / f"abcdefgh{number:03X}_{number % 997:06d}.mp4")
    make_video(folder / "long.mp4", LONG_S, 9)
    return sorted((folder / "media").iterdir())


def works_of(folder: Path, many: Sequence[Path], n_clips: int) -> dict[str, tuple[Callable[[], object], float]]:
    """Case -> (its work, the seconds of audio in it)."""
    clips, out, long = many[:n_clips], folder / "out", folder / "long.mp4"
    return {
        FFMPEG: (lambda: extract_by_ffmpeg(clips, out), CLIP_S * len(clips)),
        HARKEN: (lambda: extract_by_harken(clips, out, 1), CLIP_S * len(clips)),
        ONE_WORKER: (lambda: extract_by_harken(many, out, 1), CLIP_S * len(many)),
        TWO_WORKERS: (lambda: extract_by_harken(many, out, 2), CLIP_S * len(many)),
        FFMPEG_LONG: (lambda: ffmpeg(long, folder / "long_f.wav"), LONG_S),
        HARKEN_LONG: (lambda: extract_wav(long, folder / "long_h.wav"), LONG_S),
    }


def print_ratios(wall: dict[str, float], cpu: dict[str, float]) -> None:
    for name, harken, other in (("clips", HARKEN, FFMPEG), ("long file", HARKEN_LONG, FFMPEG_LONG)):
        by_cpu, by_wall = cpu[other] / cpu[harken], wall[other] / wall[harken]
        print(f"harken's rate / ffmpeg's, {name}: {by_cpu:.2f} by CPU, {by_wall:.2f} by wall")
    measured, bound = wall[ONE_WORKER] / wall[TWO_WORKERS], 2 * cpu[ONE_WORKER] / cpu[TWO_WORKERS]
    print(f"2 workers against 1: {measured:.2f} measured, {bound:.2f} at most")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        many = make_clips(folder, options.clips)
        works = works_of(folder, many, options.clips)
        costs: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
        for _ in range(options.repeats):
            for name, (work, _) in works.items():
                costs[name].append(measure(work))
        print(f"{options.clips} clips of {CLIP_S} s, medians of {options.repeats}")
        print("| what | wall, s | CPU, s | hours of audio a minute of wall | a minute of one core |")
        print("|---|---:|---:|---:|---:|")
        wall: dict[str, float] = {}
        cpu: dict[str, float] = {}
        for name, (_, audio_s) in works.items():
            wall[name], cpu[name] = (statistics.median(values) for values in zip(*costs[name], strict=True))
            by_wall, by_core = audio_s / 60 / wall[name], audio_s / 60 / cpu[name]
            print(f"| {name} | {wall[name]:.2f} | {cpu[name]:.2f} | {by_wall:.2f} | {by_core:.2f} |")
        print_ratios(wall, cpu)
        core_hours = VGGSOUND_CLIPS / len(many) * cpu[ONE_WORKER] / 3600
        print(f"{VGGSOUND_CLIPS:,} clips ({VGGSOUND_CLIPS * CLIP_S / 3600:.0f} h): {core_hours:.2f} core hours")
        peaks = [f"{peak_mib(folder, n):.0f} MiB at {n}" for n in (options.clips, len(many))]
        print(f"peak memory: {peaks[0]} clips, {peaks[1]}")


if __name__ == "__main__":
    main()
