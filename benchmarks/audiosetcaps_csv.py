"""Time and memory of `harken prepare audiosetcaps` on files as large as the published ones.

Takes a number of rows; writes a caption CSV and a Q&A CSV of that size with texts as long as AudioSetCaps' (captions of
about 190 characters, three questions and answers of about 640 in all), the answers in another order and 8 % more of
them, runs the command and prints rows a second and the peak memory of its process.
"""

import argparse
import csv
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

QUESTIONS = (
    "Describe this audio according to the sounds in it within 50 words.",
    "Give some information about the speech, such as the emotion of the speaker, only if speech is present.",
    "Give some information about the music, such as music genre and music instruments, only if music is present.",
)
WORDS = (
    "calm",
    "melody",
    "of",
    "bells",
    "over",
    "rain",
    "while",
    "someone",
    "talks",
    "softly",
    "and",
    "engine",
    "hums",
)


def ident(number: int) -> str:
    return f"{number:011x}_{number % 3600}_10"


def text(rng: random.Random, n_words: int) -> str:
    return " ".join(rng.choices(WORDS, k=n_words)) + ', "so to say".'


def write_files(folder: Path, rows: int) -> tuple[Path, Path]:
    rng = random.Random(0)
    captions, answers = folder / "captions.csv", folder / "answers.csv"
    with captions.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "caption"])
        writer.writerows([ident(number), text(rng, 32)] for number in range(rows))
    with answers.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *(f"{kind}_{n}" for n in (1, 2, 3) for kind in ("question", "answer"))])
        n_answers = rows + rows * 8 // 100
        for place in range(n_answers):
            number = place * 7919 % n_answers  # a prime: every number once
            cells = [part for question in QUESTIONS for part in (question, text(rng, 20))]
            writer.writerow([ident(number), *cells])
    return captions, answers


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=2_000_000)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        captions, answers = write_files(Path(name), chosen.rows)
        sizes = ", ".join(f"{path.stat().st_size / 1e9:.2f} GB" for path in (captions, answers))
        command = [sys.executable, "-m", "harken", "prepare", "audiosetcaps", "--captions", captions]
        start = time.perf_counter()
        run = subprocess.Popen([*command, "--answers", answers, "--out", Path(name) / "out"], stdout=subprocess.PIPE)
        assert run.stdout is not None
        said = run.stdout.read().decode()
        _, status, usage = os.wait4(run.pid, 0)
        wall_s = time.perf_counter() - start
        assert status == 0, status
        print(said)
        print(
            f"{chosen.rows:,} captions and their answers ({sizes}): {wall_s:.0f} s, "
            f"{usage.ru_utime + usage.ru_stime:.0f} s of CPU, {chosen.rows / wall_s:,.0f} captions a second, "
            f"peak memory {usage.ru_maxrss / 1024:.0f} MiB"
        )


if __name__ == "__main__":
    main()
