"""Read a run folder: settings, metrics, completions and evaluations, also as data frames."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harken.api.frames import frame
from harken.api.results import Evaluation, Listening
from harken.config import Recipe, load_run_recipe
from harken.errors import ConfigError
from harken.report.build import write_report as write_page
from harken.system.json_files import read_json
from harken.system.run_files import METRICS, ROLLOUTS, SUMMARY, numbered, read_object, read_rows

if TYPE_CHECKING:
    from pandas import DataFrame


class Run:
    """The folder of a run, which may still be training. It can stand wherever a path is wanted.

    Raises ConfigError where the folder holds no run.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if not (self.folder / "config.yaml").is_file():
            raise ConfigError(f"{self.folder}: no config.yaml here; give the folder of a run")

    def __fspath__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        return f"<harken.Run {self.folder}>"

    @property
    def recipe(self) -> Recipe:
        """Every setting of the run."""
        return load_run_recipe(self.folder)

    @property
    def checkpoints(self) -> list[Path]:
        """The checkpoints there are, oldest first."""
        return [folder for _, folder in numbered(self.folder / "checkpoints") if folder.is_dir()]

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint. Raises ConfigError where there is none yet."""
        if not (checkpoints := self.checkpoints):
            raise ConfigError(f"{self.folder}: has no checkpoint yet")
        return checkpoints[-1]

    @property
    def metric_rows(self) -> Sequence[Mapping[str, Any]]:
        """metrics.jsonl: one row for each step."""
        return read_rows(self.folder / "metrics.jsonl", METRICS)

    def metrics(self) -> "DataFrame":
        """The metric rows as a data frame, one row for each step. Raises ConfigError where pandas is not installed."""
        rows = frame(self.metric_rows)
        return rows.set_index("step") if "step" in rows else rows

    def completion_rows(self, step: int | None = None) -> Sequence[Mapping[str, Any]]:
        """The completions of one step, or of every step that was kept, each row with its `step`."""
        files = [(number, file) for number, file in numbered(self.folder / "rollouts", ".jsonl")]
        kept = [(number, file) for number, file in files if step is None or number == step]
        return [{"step": number, **row} for number, file in kept for row in read_rows(file, ROLLOUTS)]

    def completions(self, step: int | None = None) -> "DataFrame":
        """The same as a data frame. Raises ConfigError where pandas is not installed."""
        return frame(self.completion_rows(step))

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """The finished evaluations in the run's folder eval/, by name; those of a listening test as NAME/real and so
        on."""
        files = sorted((self.folder / "eval").glob("**/summary.json"))
        return {
            str(file.parent.relative_to(self.folder / "eval")): Evaluation(file.parent, read_object(file, SUMMARY))
            for file in files
        }

    @property
    def listening(self) -> dict[str, Listening]:
        """The listening tests in the run's folder eval/, by name."""
        files = sorted((self.folder / "eval").glob("**/listening.json"))
        return {
            str(file.parent.relative_to(self.folder / "eval")): Listening(file.parent, read_json(file))
            for file in files
        }


def write_report(
    runs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None = None,
    *,
    audio_roots: Sequence[str | os.PathLike[str]] = (),
) -> Path:
    """Write one HTML file with the result, the settings, the curves and the kept completions beside their clips.

    Args:
        runs: run folders; curves of several runs share their axes.
        out: the file; default: report.html in the first run's folder.
        audio_roots: folders of the clips, where they have moved since the run read them.

    Raises DataError where a folder is not a run or holds a damaged file.
    """
    folders = [Path(run) for run in ([runs] if isinstance(runs, str | os.PathLike) else runs)]
    if not folders:
        raise ConfigError("write_report: give the folder of a run")
    file = folders[0] / "report.html" if out is None else Path(out)
    write_page(folders, file, [Path(root) for root in audio_roots])
    return file
