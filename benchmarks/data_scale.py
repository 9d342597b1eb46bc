"""Peak memory and CPU seconds of harken's commands on a large set: 10,000 clips prepared, a manifest of 1,000,000
records over them checked, trained on for two steps, and evaluated for 1,000 records.

    python benchmarks/data_scale.py --out runs/data-scale

The clips are sounds of one second, the model is a tiny Qwen2.5-Omni thinker. Each command is a process of its own, and
its peak memory and CPU seconds, with those of its workers, are what the operating system says. --records and --clips
set other sizes. Writes results.json, and prints the table of docs/data.md.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

from harken.config import Recipe, as_yaml
from harken.data.manifest import write_manifest
from harken.models.tiny_checkpoint import write_tiny
from harken.system.environment import source_commit
from harken.types import Question

CHOICES = ("a dog", "a cat", "a door", "a bell")


def write_media(folder: Path, n_clips: int) -> Path:
    """`n_clips` sounds as a download leaves them (44.1 kHz WAV), and AVQA's annotations of one question about each."""
    (folder / "media").mkdir(parents=True)
    records = []
    for number in range(n_clips):
        name = f"{number:011d}_000001"
        samples = np.random.default_rng(number).normal(scale=0.1, size=44_100)
        soundfile.write(folder / "media" / f"{name}.wav", samples, 44_100, subtype="PCM_16")
        question = {"question_text": f"What is heard, {number}?", "multi_choice": list(CHOICES), "answer": number % 4}
        records.append(
            {"id": number, "video_name": name, "question_relation": "Sound", "question_type": "W"} | question
        )
    (folder / "train_qa.json").write_text(json.dumps(records))
    return folder / "train_qa.json"


def write_large_manifest(prepared: Path, file: Path, n_records: int) -> None:
    """Questions over the prepared clips, as many as asked for."""
    clips = sorted((prepared / "audio").glob("*.wav"))
    rows = (
        Question(f"q{i}", f"What is heard in part {i} of the recording?", CHOICES, i % 4, clips[i % len(clips)])
        for i in range(n_records)
    )
    write_manifest(file, rows, prepared)


def write_benchmark(folder: Path) -> str:
    """A manifest of 100 clips that the other does not hold, as `prepare check` takes it."""
    (folder / "audio").mkdir(parents=True)
    questions = []
    for number in range(100):
        clip = folder / "audio" / f"other{number}.wav"
        soundfile.write(clip, np.random.default_rng([7, number]).normal(scale=0.1, size=16_000), 16_000)
        questions.append(Question(f"b{number}", f"Which sound is it, {number}?", CHOICES, number % 4, clip))
    write_manifest(folder / "manifest.jsonl", questions)
    return manifest_of(folder / "manifest.jsonl", folder)


def manifest_of(file: Path, audio_root: Path) -> str:
    return f"{file}:{audio_root}"


def measured(*words: object) -> dict[str, float]:
    """Run `harken WORDS`. Its CPU seconds, with those of the workers it waited for, and the largest peak of one of
    its processes."""
    started = time.perf_counter()
    child = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-m", "harken", *map(str, words)])
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        raise SystemExit(f"harken {' '.join(map(str, words))} ended with status {status}")
    return {
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "wall_s": time.perf_counter() - started,
        "peak_gib": usage.ru_maxrss / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--clips", type=int, default=10_000)
    given = parser.parse_args()
    out, n, clips = given.out, f"{given.records:,}", f"{given.clips:,}"
    shutil.rmtree(out, ignore_errors=True)
    annotations = write_media(out, given.clips)
    write_tiny("qwen2_5_omni", out / "tiny", [f"What is heard in part of the recording? {' '.join(CHOICES)}"], seed=0)
    rows: dict[str, dict[str, float]] = {}
    prepare = ["prepare", "avqa", "--annotations", annotations, "--media", out / "media", "--out", out / "prepared"]
    rows[f"`prepare avqa`, {clips} clips of 1 s"] = measured(*prepare, "--workers", 2)
    rows["the same command again, all clips there"] = measured(*prepare, "--workers", 2)
    manifest = out / "manifest.jsonl"
    write_large_manifest(out / "prepared", manifest, given.records)
    check = ["prepare", "check", manifest_of(manifest, out / "prepared"), write_benchmark(out / "benchmark")]
    rows[f"`prepare check`, {n} records against 100"] = measured(*check)
    recipe = {
        "name": "large",
        "model": {"path": str(out / "tiny")},
        "data": {"train": [{"reader": "manifest", "file": str(manifest), "audio_root": str(out / "prepared")}]},
        "grpo": {"steps": 2, "prompts_per_step": 4, "max_completion_tokens": 4},
    }
    (out / "recipe.yaml").write_text(as_yaml(Recipe.model_validate(recipe)))
    rows[f"`train`, two steps, {n} records"] = measured("train", out / "recipe.yaml", "--out", out / "run")
    evaluate = ["evaluate", "--model", out / "tiny", "--benchmark", "manifest", "--data", manifest]
    evaluate += ["--audio-root", out / "prepared", "--max-completion-tokens", 4, "--batch-size", 64]
    rows[f"`evaluate --limit 1000`, {n} records"] = measured(*evaluate, "--limit", 1000, "--out", out / "limited")
    print_results(rows, out)


def print_results(rows: dict[str, dict[str, float]], out: Path) -> None:
    print("| command | CPU, s | wall, s | peak of a process, GiB |\n|---|---:|---:|---:|")
    for name, row in rows.items():
        print(f"| {name} | {row['cpu_s']:.0f} | {row['wall_s']:.0f} | {row['peak_gib']:.2f} |")
    state = {"commit": source_commit(), "load": os.getloadavg(), "python": platform.python_version()}
    (out / "results.json").write_text(json.dumps({"rows": rows, **state}, indent=2) + "\n")


if __name__ == "__main__":
    main()
