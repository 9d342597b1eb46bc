"""Recipes and data for runs on several ranks, and functions that compare what such runs wrote."""

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
from small_runs import metric_rows, small_recipe
from tiny_models import noise, tiny_folder

from harken.data.manifest import write_manifest
from harken.types import Question

CHOICES = ("one", "two", "three")


def write_questions(folder: Path, n: int = 9, text_only: bool | None = None) -> Path:
    """A manifest in which every third question has a clip, of different lengths; none has one with `text_only`."""
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


def write_recipe(folder: Path, arch: str = "qwen2_5_omni", lora: bool = False, **sections: dict[str, Any]) -> Path:
    """A recipe file: five steps of three questions, of which two ranks take one and two; `sections` change it."""
    base = small_recipe(tiny_folder(arch), folder / "train.jsonl", lora=lora)
    values = base.model_dump(mode="json")
    values["data"] |= {"dev_share": 0.0, "train": [{"reader": "manifest", "file": str(folder / "train.jsonl")}]}
    values["reward"]["parts"] = [{"name": "small_runs:reward_by_letters"}]
    values["grpo"] |= {"steps": 5, "prompts_per_step": 3, "tokens_per_micro_batch": 1, "completions_per_prompt": 4}
    values["grpo"] |= {"learning_rate": 0.05, "schedule": "constant", "temperature": 1.0}
    values["sft"] |= {"steps": 5, "prompts_per_step": 3, "tokens_per_micro_batch": 1, "schedule": "constant"}
    values["logging"] |= {"evaluate_every": None, "keep_checkpoints": 10}
    for section, changes in sections.items():
        values[section] |= changes
    file = folder / f"{arch}-{abs(hash(repr(sections)))}.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def on_ranks(folder: Path, *jobs: dict[str, Any], limit_s: float = 900.0) -> list[dict[str, Any]]:
    """What `scale_driver.py` prints about the jobs. Fails where they take longer than the limit."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jobs.json").write_text(json.dumps(jobs))
    driver = subprocess.run(
        [sys.executable, Path(__file__).with_name("scale_driver.py"), folder / "jobs.json"],
        capture_output=True,
        text=True,
        timeout=limit_s,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert driver.returncode == 0, driver.stderr
    return json.loads(driver.stdout)


def read_weights(checkpoint: Path) -> torch.Tensor:
    """[N] all saved weights as float64, in the order of their names."""
    saved = load_file(next(checkpoint.glob("*.safetensors")))
    return torch.cat([saved[name].double().flatten() for name in sorted(saved)])


def starting_weights(arch: str, checkpoint: Path) -> torch.Tensor:
    """[N] in the order of `read_weights(checkpoint)`."""
    start = load_file(tiny_folder(arch) / "model.safetensors")
    return torch.cat([start[name].double().flatten() for name in sorted(load_file(checkpoint / "model.safetensors"))])


def relative_difference(a: Path, b: Path, start: torch.Tensor) -> float:
    """|a - b| / |a - start| of the weights of two checkpoints."""
    weights_a, weights_b = read_weights(a), read_weights(b)
    return float((weights_a - weights_b).norm() / (weights_a - start).norm())


def completions_of_run(run: Path) -> list[list[str]]:
    """The texts of each step."""
    files = sorted((run / "rollouts").glob("step_*.jsonl"))
    rows = [file.read_text().removesuffix("\n").split("\n") for file in files]  # texts hold other ends of lines
    return [[json.loads(row)["completion"] for row in step] for step in rows]


def differing_metrics(a: Path, b: Path, tolerance: float) -> list[tuple[int, str, float, float]]:
    """(step, name, value in a, value in b) of metrics that differ by more than `tolerance` of the larger or 1e-6."""
    differing = []
    for row_a, row_b in zip(metric_rows(a), metric_rows(b), strict=True):
        assert row_a.keys() == row_b.keys()
        for name in row_a:
            limit = max(1e-6, tolerance * max(abs(row_a[name]), abs(row_b[name])))
            if abs(row_a[name] - row_b[name]) > limit:
                differing.append((row_a["step"], name, row_a[name], row_b[name]))
    return differing
