"""How fast sound comes out of videos, against the `ffmpeg` program, and with how much memory.

Takes a number of clips; makes videos like VGGSound's (10 s, H.264 340x256 at 25 frames a second, AAC 48 kHz stereo),
8 different ones under many names, and one of 10 minutes. Prints a table:

    ffmpeg        one `ffmpeg -vn -ac 1 -ar 16000 -c:a pcm_s16le` a clip, one after the other, as shell loops do
    harken        `extract_clips`, measures of the result included, with one worker
    10 times      the same on ten times as many clips, with one worker and with two
    one long file both on the 10 minutes, where starting a program costs nothing

CPU seconds are user + system of all processes: on a busy machine they say what wall time does not. Two workers are at
most 2 x (CPU of one) / (CPU of two) times as fast as one; that bound is printed beside what was seen. The runs
alternate; medians of `--repeats`. Memory: peak of the largest process of `harken prepare vggsound` at n and at 10 n
clips.
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
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from harken.prepare.clip_extraction import ExtractionJob, extract_clips
from harken.prepare.media_decoding import extract_wav

CLIP_S = 10
LONG_S = 600
VGGSOUND_CLIPS = 182_189


def make_video(path: Path, duration_s: int, seed: int) -> None:
    """Moving gradients with noise; tones and noise in stereo."""
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


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """(wall seconds, CPU seconds of this process and its children)."""

    def cpu_s() -> float:
        both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in both)

    wall, cpu = time.perf_counter(), cpu_s()
    work()
    return time.perf_counter() - wall, cpu_s() - cpu


def ffmpeg(source: Path, target: Path) -> None:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-threads", "1", "-i", source, "-vn"]
    subprocess.run([*command, "-ac", "1", "-ar", "16000", "-c:a", "pcm_s16le", target], check=True)


def peak_mib(folder: Path, n: int) -> float:
    """Largest process of a whole command on n clips."""
    names = sorted((folder / "media").iterdir())[:n]
    (folder / "list.csv").write_text("".join(f"{name.name},a label\n" for name in names))
    command = [sys.executable, "-m", "harken", "prepare", "vggsound", "--list", folder / "list.csv"]
    out = folder / f"out{n}"
    run = subprocess.Popen([*command, "--media", folder / "media", "--out", out], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(run.pid, 0)
    assert status == 0, status
    shutil.rmtree(out)
    return usage.ru_maxrss / 1024


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clips", type=int, default=200)
    options.add_argument("--repeats", type=int, default=3)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "media").mkdir()
        for seed in range(8):
            make_video(folder / f"{seed}.mp4", CLIP_S, seed)
        for number in range(10 * chosen.clips):
            os.link(folder / f"{number % 8}.mp4", folder / "media" / f"abcdefgh{number:03X}_{number % 997:06d}.mp4")
        make_video(folder / "long.mp4", LONG_S, 9)
        many = sorted((folder / "media").iterdir())
        clips = many[: chosen.clips]

        def by_ffmpeg() -> None:
            (folder / "f").mkdir()
            for clip in clips:
                ffmpeg(clip, folder / "f" / f"{clip.stem}.wav")
            shutil.rmtree(folder / "f")

        def by_harken(clips: list[Path], workers: int) -> None:
            results = extract_clips([ExtractionJob(clip, folder / "h" / f"{clip.stem}.wav") for clip in clips], workers)
            assert not any(isinstance(one, str) for one in results), results
            shutil.rmtree(folder / "h")

        works = {
            "ffmpeg, a program a clip": (by_ffmpeg, CLIP_S * len(clips)),
            "harken, 1 worker": (lambda: by_harken(clips, 1), CLIP_S * len(clips)),
            "harken, 10 times, 1 worker": (lambda: by_harken(many, 1), CLIP_S * len(many)),
            "harken, 10 times, 2 workers": (lambda: by_harken(many, 2), CLIP_S * len(many)),
            "ffmpeg, one long file": (lambda: ffmpeg(folder / "long.mp4", folder / "long_f.wav"), LONG_S),
            "harken, one long file": (lambda: extract_wav(folder / "long.mp4", folder / "long_h.wav"), LONG_S),
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
        for _ in range(chosen.repeats):
            for name, (work, _) in works.items():
                taken[name].append(measured(work))
        print(f"{chosen.clips} clips of {CLIP_S} s, medians of {chosen.repeats}")
        print("| what | wall, s | CPU, s | hours of audio a minute of wall | a minute of one core |")
        print("|---|---:|---:|---:|---:|")
        wall: dict[str, float] = {}
        cpu: dict[str, float] = {}
        for name, (_, audio_s) in works.items():
            wall[name], cpu[name] = (statistics.median(values) for values in zip(*taken[name], strict=True))
            by_wall, by_core = audio_s / 60 / wall[name], audio_s / 60 / cpu[name]
            print(f"| {name} | {wall[name]:.2f} | {cpu[name]:.2f} | {by_wall:.2f} | {by_core:.2f} |")
        for what, ours, theirs in (
            ("clips", "harken, 1 worker", "ffmpeg, a program a clip"),
            ("long file", "harken, one long file", "ffmpeg, one long file"),
        ):
            by_cpu, by_wall = cpu[theirs] / cpu[ours], wall[theirs] / wall[ours]
            print(f"harken's rate / ffmpeg's, {what}: {by_cpu:.2f} by CPU, {by_wall:.2f} by wall")
        one, two = "harken, 10 times, 1 worker", "harken, 10 times, 2 workers"
        print(f"2 workers against 1: {wall[one] / wall[two]:.2f} seen, {2 * cpu[one] / cpu[two]:.2f} at most")
        core_hours = VGGSOUND_CLIPS / len(many) * cpu[one] / 3600
        print(f"{VGGSOUND_CLIPS:,} clips ({VGGSOUND_CLIPS * CLIP_S / 3600:.0f} h): {core_hours:.2f} core hours")
        print(
            f"peak memory: {peak_mib(folder, chosen.clips):.0f} MiB at {chosen.clips} clips, "
            f"{peak_mib(folder, len(many)):.0f} MiB at {len(many)}"
        )


if __name__ == "__main__":
    main()
