"""The run folder, the only interface between training, evaluation and report.

    <run>/ config.yaml  environment.json  data.json  rejected.jsonl  dropped.jsonl  metrics.jsonl
           rollouts/step_000100.jsonl  judge/replies.jsonl  checkpoints/step_000100/
           eval/<set>/{predictions.jsonl, summary.json}

Takes values, writes files. Not taken: writing into a folder that exists; two runs never share one.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harken.config import Recipe, as_yaml
from harken.errors import ConfigError, HarkenError
from harken.system.environment import environment
from harken.system.files import is_leftover, json_line, remove_leftovers, write_json, write_jsonl, write_text


class RunFolder:
    """Paths and writers of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rejected = path / "rejected.jsonl"
        self.dropped = path / "dropped.jsonl"
        self.data = path / "data.json"
        self.metrics = path / "metrics.jsonl"
        self.judge = path / "judge"

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """A run to go on with, rid of what a killed process left. Raises ConfigError where `path` is none."""
        if not (path / "config.yaml").is_file():
            raise ConfigError(f"{path}: no config.yaml; --resume takes the folder of a run")
        for folder in (path, path / "rollouts", path / "checkpoints"):
            remove_leftovers(folder)
        if not (path / "environment.json").exists():
            write_json(path / "environment.json", environment())
        return cls(path)

    @classmethod
    def create(cls, path: Path, recipe: Recipe) -> "RunFolder":
        """Raises ConfigError where `path` exists and is not empty."""
        if path.exists() and not all(is_leftover(entry) for entry in path.iterdir()):
            raise ConfigError(f"{path}: holds a run already; choose another --out, or remove it")
        path.mkdir(parents=True, exist_ok=True)
        run = cls(path)
        write_text(path / "config.yaml", as_yaml(recipe))
        write_json(path / "environment.json", environment())
        return run

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Raises HarkenError where the row cannot be written, as on a full disk."""
        line = json_line(row)
        with self._writing(self.metrics), self.metrics.open("a", encoding="utf-8") as file:
            file.write(line)

    def write_rollouts(self, step: int, rows: Iterable[Mapping[str, Any]]) -> None:
        """Raises HarkenError where they cannot be written, as on a full disk."""
        file = self.path / "rollouts" / f"step_{step:06d}.jsonl"
        with self._writing(file):
            write_jsonl(file, rows)

    @contextlib.contextmanager
    def _writing(self, file: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise HarkenError(
                f"{file}: cannot be written ({error.strerror}). Make room, then go on with --resume {self.path}"
            ) from error

    def metric_rows(self) -> list[dict[str, Any]]:
        """Every whole row. What follows the last line feed is half a row, of a killed run or one being written."""
        if not self.metrics.exists():
            return []
        return [json.loads(line) for line in self.metrics.read_bytes().split(b"\n")[:-1]]

    def forget_after(self, step: int) -> None:
        """Drop metric rows and rollouts of later steps: a resumed run writes them again."""
        if self.metrics.exists():
            write_jsonl(self.metrics, [row for row in self.metric_rows() if row["step"] <= step])
        for file in (self.path / "rollouts").glob("step_*.jsonl"):
            if int(file.stem.removeprefix("step_")) > step:
                file.unlink()

    def checkpoint(self, step: int) -> Path:
        return self.path / "checkpoints" / f"step_{step:06d}"

    def checkpoints(self) -> list[Path]:
        """Oldest first."""
        return sorted((self.path / "checkpoints").glob("step_*"), key=step_of)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step_"))
