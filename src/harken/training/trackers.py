"""Metric rows to where people look: metrics.jsonl always; TensorBoard, W&B or trackio where asked.

Takes flat mappings with path-like names (`reward/accuracy`), one a step. Keys for services come from the environment,
as those libraries read them; none is ever written here.
"""

import importlib
from collections.abc import Mapping
from typing import Any, Protocol

from harken.config import ConfigError, Recipe
from harken.training.run_folder import RunFolder


class Tracker(Protocol):
    def log(self, step: int, row: Mapping[str, float]) -> None: ...
    def close(self) -> None: ...


class JsonlTracker:
    def __init__(self, run: RunFolder) -> None:
        self._run = run

    def log(self, step: int, row: Mapping[str, float]) -> None:
        self._run.append_metrics({"step": step, **row})

    def close(self) -> None: ...


class TensorBoardTracker:
    def __init__(self, run: RunFolder, start: int) -> None:
        _require("tensorboard")
        writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter
        self._writer = writer(run.path / "tensorboard", purge_step=start + 1)

    def log(self, step: int, row: Mapping[str, float]) -> None:
        for name, value in row.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class ServiceTracker:
    """W&B, and trackio, which has the same calls."""

    def __init__(self, library: str, run: RunFolder, recipe: Recipe) -> None:
        self._library = _require(library)
        self._library.init(project=recipe.logging.project, name=run.path.name, config=recipe.model_dump(mode="json"))

    def log(self, step: int, row: Mapping[str, float]) -> None:
        self._library.log(dict(row), step=step)

    def close(self) -> None:
        self._library.finish()


def open_trackers(run: RunFolder, recipe: Recipe, start: int) -> list[Tracker]:
    """metrics.jsonl and every tracker the recipe names; `start` is the number of steps made already.

    Raises ConfigError where a library is not installed.
    """
    trackers: list[Tracker] = [JsonlTracker(run)]
    for name in recipe.logging.trackers:
        if name == "tensorboard":
            trackers.append(TensorBoardTracker(run, start))
        else:
            trackers.append(ServiceTracker(name, run, recipe))
    return trackers


def _require(library: str) -> Any:
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise ConfigError(f"logging.trackers: {library} is not installed; pip install 'harken[{library}]'") from error
