"""The run folder: training writes it, evaluation and report read it, and nothing else connects them.

    <run>/ config.yaml  environment.json  data.json  rejected.jsonl  dropped.jsonl  metrics.jsonl
           inputs.json  clips.jsonl  history.jsonl (run_inputs.py)
           rollouts/step_000100.jsonl  judge/replies.jsonl  checkpoints/step_000100/
           eval/<set>/{predictions.jsonl, summary.json}

A run never writes into the folder of another run.
"""

import shlex
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from harken.config import Recipe, as_yaml
from harken.errors import ConfigError, DataError
from harken.system.environment import describe_environment
from harken.system.files import is_leftover, remove_leftovers, remove_path, write_json, write_text
from harken.system.json_lines import append_json_lines, write_json_lines
from harken.system.run_files import INPUTS, METRICS, numbered, read_object, read_rows
from harken.system.writer_lock import LOCK_NAME

START = {
    *("config.yaml", "environment.json", "inputs.json", "clips.jsonl", "data.json", "rejected.jsonl", "dropped.jsonl"),
    "tensorboard",
}
"""What a run writes before its first step, beside the judge's replies, which are good for the next start too."""


class RunFolder:
    """Paths and writers of one run.

    Attributes:
        path: the folder.
        rejected, dropped, data, metrics: its files.
        judge: its folder for the judge's replies.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rejected = path / "rejected.jsonl"
        self.dropped = path / "dropped.jsonl"
        self.data = path / "data.json"
        self.metrics = path / "metrics.jsonl"
        self.judge = path / "judge"

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Open an earlier run to go on with it, and remove temporary files that a killed process left.

        Raises ConfigError where `path` is no run folder.
        """
        if not (path / "config.yaml").is_file():
            raise ConfigError(f"{path}: no config.yaml; --resume takes the folder of a run")
        for folder in (path, path / "rollouts", path / "checkpoints"):
            remove_leftovers(folder)
        if not (path / "environment.json").exists():
            write_json(path / "environment.json", describe_environment())
        return cls(path)

    @classmethod
    def choose(cls, path: Path) -> "RunFolder":
        """The folder of a new run, which is not written yet. What a start has left that came to no step is removed.

        Raises ConfigError where `path` holds anything else.
        """
        entries = list(path.iterdir()) if path.exists() else []
        if not all(is_leftover(entry) or entry.name in {LOCK_NAME, "judge", *START} for entry in entries):
            raise ConfigError(
                f"{path}: holds a run already; choose another --out, or remove it; --resume goes on with it"
            )
        run = cls(path)
        run.remove_start()
        return run

    def remove_start(self, keep: Collection[str] = ()) -> None:
        """Remove what the start of a run writes before its first step, except the names in `keep`."""
        for name in START:
            if name not in keep:
                remove_path(self.path / name)

    @classmethod
    def create(cls, path: Path, recipe: Recipe) -> "RunFolder":
        """Create the folder of a new run and write the recipe into it."""
        path.mkdir(parents=True, exist_ok=True)
        run = cls(path)
        write_text(path / "config.yaml", as_yaml(recipe))
        write_json(path / "environment.json", describe_environment())
        return run

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        append_json_lines(self.metrics, [row], f"go on with --resume {self.path}")

    def write_rollouts(self, step: int, rows: Iterable[Mapping[str, Any]]) -> None:
        write_json_lines(self.path / "rollouts" / f"step_{step:06d}.jsonl", rows)

    def metric_rows(self) -> list[dict[str, Any]]:
        """Every complete row. A half row at the end is ignored: a killed run left it, or it is being written."""
        return read_rows(self.metrics, METRICS)

    def remove_rows_after(self, step: int) -> None:
        """Remove metric rows and rollouts of later steps, because a resumed run writes them again."""
        if self.metrics.exists():
            write_json_lines(self.metrics, [row for row in self.metric_rows() if row["step"] <= step])
        for rolled_out, file in numbered(self.path / "rollouts", ".jsonl"):
            if rolled_out > step:
                file.unlink()

    def checkpoint(self, step: int) -> Path:
        """Where the checkpoint of a step is, or would be."""
        return self.path / "checkpoints" / f"step_{step:06d}"

    def checkpoints(self) -> list[Path]:
        """The checkpoints there are, oldest first."""
        return [folder for _, folder in numbered(self.path / "checkpoints") if folder.is_dir()]


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step_"))


def how_to_resume(run: Path) -> str:
    """What a stopped run has kept and how it goes on."""
    if not (run / "config.yaml").exists():
        return "Nothing of the run was written yet: start it again"
    whole = RunFolder(run).checkpoints()
    last = f"The last whole checkpoint is {whole[-1]}" if whole else "There is no checkpoint yet"
    return f"{last}; go on with: {resume_command(run)}  (on any number of ranks)"


def resume_command(run: Path) -> str:
    """What a person types to go on with a run."""
    try:
        loop = read_object(run / "inputs.json", INPUTS)["loop"]
    except (DataError, OSError):  # the command then says what is wrong with the folder
        loop = "grpo"
    return f"harken {'sft' if loop == 'sft' else 'train'} --resume {shlex.quote(str(run))}"
