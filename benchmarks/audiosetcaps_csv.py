"""Time and memory of `harken prepare audiosetcaps` on files as large as the published ones.

The program writes a caption CSV of so many rows and a Q&A CSV, with texts as long as AudioSetCaps' (captions of about
190 characters, three questions and answers of about 640 in all), the answers in another order and 8 % more of them.
Then it runs the command and prints rows a second and the peak memory of its process.
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


def clip_id(number: int) -> str:
    return f"{number:011x}_{number % 3600}_10"


def random_text(rng: random.Random, n_words: int) -> str:
    return " ".join(rng.choices(WORDS, k=n_words)) + ', "so to say".'


def write_files(folder: Path, rows: int) -> tuple[Path, Path]:
    rng = random.Random(0)
    captions, answers = folder / "captions.csv", folder / "answers.csv"
    with captions.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "caption"])
        writer.writerows([clip_id(number), random_text(rng, 32)] for number in range(rows))
    with answers.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *(f"{kind}_{n}" for n in (1, 2, 3) for kind in ("question", "answer"))])
        n_answers = rows + rows * 8 // 100
        for place in range(n_answers):
            number = place * 7919 % n_answers  # 7919 is a prime, so every number comes once
            cells = [part for question in QUESTIONS for part in (question, random_text(rng, 20))]
            writer.writerow([clip_id(number), *cells])
    return captions, answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        captions, answers = write_files(Path(name), options.rows)
        sizes = ", ".join(f"{path.stat().st_size / 1e9:.2f} GB" for path in (captions, answers))
        command = [sys.executable, "-m", "harken", "prepare", "audiosetcaps", "--captions", captions]
        start = time.perf_counter()
        run = subprocess.Popen([*command, "--answers", answers, "--out", Path(name) / "out"], stdout=subprocess.PIPE)
        assert run.stdout is not None
        output = run.stdout.read().decode()
        _, status, usage = os.wait4(run.pid, 0)
        wall_s = time.perf_counter() - start
        assert status == 0, status
        print(output)
        print(
            f"{options.rows:,} captions and their answers ({sizes}): {wall_s:.0f} s, "
            f"{usage.ru_utime + usage.ru_stime:.0f} s of CPU, {options.rows / wall_s:,.0f} captions a second, "
            f"peak memory {usage.ru_maxrss / 1024:.0f} MiB"
        )


if __name__ == "__main__":
    main()
