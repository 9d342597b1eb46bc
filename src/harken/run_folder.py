"""The run folder, the only interface between training, evaluation and report.

    <run>/ config.yaml  environment.json  rejected.jsonl  metrics.jsonl  rollouts/step_000100.jsonl
           checkpoints/step_000100/  eval/<set>/{predictions.jsonl, summary.json}

Takes values, writes files. Not taken: writing into a folder that exists; two runs never share one.
"""

import json
import platform
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import yaml

from harken.config import Recipe
from harken.errors import ConfigError
from harken.files import json_line, write_json, write_jsonl, write_text

PACKAGES = ("harken", "torch", "transformers", "tokenizers", "safetensors", "numpy", "soundfile", "soxr", "peft")


class RunFolder:
    """Paths and writers of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rejected = path / "rejected.jsonl"
        self.metrics = path / "metrics.jsonl"

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """A run to go on with. Raises ConfigError where `path` is none."""
        if not (path / "config.yaml").is_file():
            raise ConfigError(f"{path}: no config.yaml; --resume takes the folder of a run")
        return cls(path)

    @classmethod
    def create(cls, path: Path, recipe: Recipe) -> "RunFolder":
        """Raises ConfigError where `path` exists and is not empty."""
        if path.exists() and any(path.iterdir()):
            raise ConfigError(f"{path}: holds a run already; choose another --out, or remove it")
        path.mkdir(parents=True, exist_ok=True)
        run = cls(path)
        write_text(path / "config.yaml", yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))
        write_json(path / "environment.json", environment())
        return run

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json_line(row))

    def write_rollouts(self, step: int, rows: Iterable[Mapping[str, Any]]) -> None:
        write_jsonl(self.path / "rollouts" / f"step_{step:06d}.jsonl", rows)

    def metric_rows(self) -> list[dict[str, Any]]:
        if not self.metrics.exists():
            return []
        return [json.loads(line) for line in self.metrics.read_text(encoding="utf-8").splitlines()]

    def forget_after(self, step: int) -> None:
        """Drop metric rows and rollouts of later steps: a resumed run writes them again."""
        if self.metrics.exists():
            lines = self.metrics.read_text(encoding="utf-8").splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n")]  # a killed run may leave half a line
            write_jsonl(self.metrics, (row for row in map(json.loads, whole) if row["step"] <= step))
        for file in (self.path / "rollouts").glob("step_*.jsonl"):
            if int(file.stem.removeprefix("step_")) > step:
                file.unlink()

    def checkpoint(self, step: int) -> Path:
        return self.path / "checkpoints" / f"step_{step:06d}"

    def checkpoints(self) -> list[Path]:
        """Oldest first."""
        return sorted((self.path / "checkpoints").glob("step_*"))


def environment() -> dict[str, Any]:
    """What the run ran on: versions and devices; no variables of the environment, they may hold secrets."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "threads": torch.get_num_threads(),
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }
