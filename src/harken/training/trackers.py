"""Writes metric rows to metrics.jsonl, and to TensorBoard, W&B or trackio where `logging.trackers` names them.

A row is a flat mapping with path-like names (`reward/accuracy`), one for each step. The libraries read their keys from
the environment; harken never writes a key into a file.
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
    """metrics.jsonl in the run folder."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run

    def log(self, step: int, row: Mapping[str, float]) -> None:
        self._run.append_metrics({"step": step, **row})

    def close(self) -> None: ...


class TensorBoardTracker:
    """Event files in the run folder; a resumed run replaces the events of steps that it makes again."""

    def __init__(self, run: RunFolder, steps_done: int) -> None:
        _import_tracker("tensorboard")
        writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter
        self._writer = writer(run.path / "tensorboard", purge_step=steps_done + 1)

    def log(self, step: int, row: Mapping[str, float]) -> None:
        for name, value in row.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class ServiceTracker:
    """W&B, or trackio, which has the same functions."""

    def __init__(self, library: str, run: RunFolder, recipe: Recipe) -> None:
        self._library = _import_tracker(library)
        self._library.init(project=recipe.logging.project, name=run.path.name, config=recipe.model_dump(mode="json"))

    def log(self, step: int, row: Mapping[str, float]) -> None:
        self._library.log(dict(row), step=step)

    def close(self) -> None:
        self._library.finish()


def open_trackers(run: RunFolder, recipe: Recipe, steps_done: int) -> list[Tracker]:
    """metrics.jsonl and every tracker that the recipe names.

    Raises ConfigError where a library is not installed.
    """
    trackers: list[Tracker] = [JsonlTracker(run)]
    for name in recipe.logging.trackers:
        if name == "tensorboard":
            trackers.append(TensorBoardTracker(run, steps_done))
        else:
            trackers.append(ServiceTracker(name, run, recipe))
    return trackers


def _import_tracker(library: str) -> Any:
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise ConfigError(f"logging.trackers: {library} is not installed; pip install 'harken[{library}]'") from error
