"""Recipes and data for runs on several ranks, and what such runs leave."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import soundfile
import torch
import yaml
from safetensors.torch import load_file
from small_runs import recipe, rows_of
from tiny_models import noise, tiny_folder

from harken.data.manifest import write_manifest
from harken.types import Question

CHOICES = ("one", "two", "three")


def questions(folder: Path, n: int = 9, text_only: bool | None = None) -> Path:
    """Every third about a clip, of lengths that differ, the others text alone; or all (`text_only`) text alone."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(n):
        clip = None
        if i % 3 == 0 and not text_only:
            clip = folder / f"{i}.wav"
            soundfile.write(clip, noise(0.3 + 0.1 * i, i), 16_000, subtype="FLOAT")
        rows.append(Question(f"q{i}", f"Which digit? {CHOICES[i % 3]}", CHOICES, i % 3, clip))
    write_manifest(folder / "train.jsonl", rows)
    return folder / "train.jsonl"


def plan(folder: Path, arch: str = "qwen2_5_omni", lora: bool = False, **sections: dict[str, Any]) -> Path:
    """A recipe file: five steps of three questions, which two ranks share as one and two; `sections` change it."""
    base = recipe(tiny_folder(arch), folder / "train.jsonl", lora=lora)
    values = base.model_dump(mode="json")
    values["data"] |= {"dev_share": 0.0, "train": [{"reader": "manifest", "file": str(folder / "train.jsonl")}]}
    values["reward"]["parts"] = [{"name": "small_runs:told_apart"}]
    values["grpo"] |= {"steps": 5, "prompts_per_step": 3, "prompts_per_micro_batch": 1, "completions_per_prompt": 4}
    values["grpo"] |= {"learning_rate": 0.05, "schedule": "constant", "temperature": 1.0}
    values["sft"] |= {"steps": 5, "prompts_per_step": 3, "prompts_per_micro_batch": 1, "schedule": "constant"}
    values["logging"] |= {"evaluate_every": None, "keep_checkpoints": 10}
    for section, changes in sections.items():
        values[section] |= changes
    file = folder / f"{arch}-{abs(hash(repr(sections)))}.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def on_ranks(folder: Path, *jobs: dict[str, Any], limit_s: float = 900.0) -> list[dict[str, Any]]:
    """What `scale_driver.py` says of the jobs. Fails where they take longer than the limit."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jobs.json").write_text(json.dumps(jobs))
    ran = subprocess.run(
        [sys.executable, Path(__file__).with_name("scale_driver.py"), folder / "jobs.json"],
        capture_output=True,
        text=True,
        timeout=limit_s,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def weights(checkpoint: Path) -> torch.Tensor:
    """[N] of every tensor that was saved, float64, in order of name."""
    saved = load_file(next(checkpoint.glob("*.safetensors")))
    return torch.cat([saved[name].double().flatten() for name in sorted(saved)])


def starting_weights(arch: str, checkpoint: Path) -> torch.Tensor:
    """[N] in the order of `weights(checkpoint)`."""
    start = load_file(tiny_folder(arch) / "model.safetensors")
    return torch.cat([start[name].double().flatten() for name in sorted(load_file(checkpoint / "model.safetensors"))])


def moved_apart(a: Path, b: Path, start: torch.Tensor) -> float:
    """|a - b| over |a - start|."""
    one, other = weights(a), weights(b)
    return float((one - other).norm() / (one - start).norm())


def completions(run: Path) -> list[list[str]]:
    files = sorted((run / "rollouts").glob("step_*.jsonl"))
    return [[json.loads(line)["completion"] for line in file.read_text().splitlines()] for file in files]


def same_rows(a: Path, b: Path, tolerance: float) -> list[tuple[int, str, float, float]]:
    """Metrics of two runs that differ by more than `tolerance` of the larger or 1e-6."""
    far = []
    for one, other in zip(rows_of(a), rows_of(b), strict=True):
        assert one.keys() == other.keys()
        for name in one:
            if abs(one[name] - other[name]) > max(1e-6, tolerance * max(abs(one[name]), abs(other[name]))):
                far.append((one["step"], name, one[name], other[name]))
    return far
