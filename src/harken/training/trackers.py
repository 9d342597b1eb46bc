"""Writes metric rows to metrics.jsonl, and to TensorBoard, W&B or trackio where `logging.trackers` names them.

A row is a flat mapping with path-like names (`reward/accuracy`), one for each step. The three libraries also get tables
of sampled completions with their clips (`completion_table.py`). They read their keys from the environment; harken never
writes a key into a file.
"""

import html
import importlib
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from harken.config import ConfigError, Recipe
from harken.data.audio import SAMPLE_RATE_HZ
from harken.data.encoded_sound import as_mp3
from harken.training.completion_table import CompletionTable
from harken.training.run_folder import RunFolder


class Tracker(Protocol):
    takes_completions: bool

    def log(self, step: int, row: Mapping[str, float]) -> None: ...
    def log_completions(self, table: CompletionTable) -> None: ...
    def close(self) -> None: ...


class JsonlTracker:
    """metrics.jsonl in the run folder, which has the completions in `rollouts/`."""

    takes_completions = False

    def __init__(self, run: RunFolder) -> None:
        self._run = run

    def log(self, step: int, row: Mapping[str, float]) -> None:
        self._run.append_metrics({"step": step, **row})

    def log_completions(self, table: CompletionTable) -> None: ...

    def close(self) -> None: ...


class TensorBoardTracker:
    """Event files in the run folder; a resumed run replaces the events of steps that it makes again.

    TensorBoard has no sound in tables: the table stands under Text, and its clips under Audio.
    """

    takes_completions = True

    def __init__(self, run: RunFolder, steps_done: int) -> None:
        _import_tracker("tensorboard")
        writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter
        self._writer = writer(run.path / "tensorboard", purge_step=steps_done + 1)

    def log(self, step: int, row: Mapping[str, float]) -> None:
        for name, value in row.items():
            self._writer.add_scalar(name, value, step)

    def log_completions(self, table: CompletionTable) -> None:
        numbers = {ident: number for number, ident in enumerate(table.clips, start=1)}
        names = ["" if ident is None else f"clip {numbers[ident]} under Audio" for ident in table.clip_of]
        rows = [(*row, name) for row, name in zip(table.rows, names, strict=True)]
        self._writer.add_text("completions", _markdown_table((*table.columns, "sound"), rows), table.step)
        for ident, clip in table.clips.items():
            samples = np.pad(np.clip(clip, -1, 1), (0, max(0, 2 - clip.size)))  # it refuses a clip of one sample
            self._writer.add_audio(f"completions/clip {numbers[ident]}", samples, table.step, SAMPLE_RATE_HZ)

    def close(self) -> None:
        self._writer.close()


class ServiceTracker:
    """W&B, or trackio, which has the same functions.

    W&B plays the clips in the cells of the table. trackio plays no sound in tables, so the clips stand beside it.
    """

    takes_completions = True

    def __init__(self, library: str, run: RunFolder, recipe: Recipe) -> None:
        self._library, self._in_cells = _import_tracker(library), library == "wandb"
        self._library.init(project=recipe.logging.project, name=run.path.name, config=recipe.model_dump(mode="json"))
        self._clips = tempfile.TemporaryDirectory(prefix="harken-clips-")  # the library may send them later

    def log(self, step: int, row: Mapping[str, float]) -> None:
        self._library.log(dict(row), step=step)

    def log_completions(self, table: CompletionTable) -> None:
        sounds = {}
        for number, (ident, clip) in enumerate(table.clips.items(), start=1):
            file = Path(self._clips.name) / f"step_{table.step}_clip_{number}.mp3"
            file.write_bytes(as_mp3(clip))
            sounds[ident] = (f"clip {number}", self._library.Audio(str(file)))
        beside: dict[str, Any] = {}
        cells: list[Any] = []
        if self._in_cells:
            cells = [None if ident is None else sounds[ident][1] for ident in table.clip_of]
        else:
            cells = ["" if ident is None else f"{sounds[ident][0]} of this step" for ident in table.clip_of]
            beside = {f"completions/{name}": sound for name, sound in sounds.values()}
        rows = [[*row, cell] for row, cell in zip(table.rows, cells, strict=True)]
        content = self._library.Table(columns=[*table.columns, "sound"], data=rows)
        self._library.log({"completions": content, **beside}, step=table.step)

    def close(self) -> None:
        self._library.finish()
        self._clips.cleanup()


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
        raise not_installed(library) from error


def not_installed(library: str) -> ConfigError:
    return ConfigError(f"logging.trackers: {library} is not installed; pip install 'harken[{library}]'")


def _markdown_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table for TensorBoard, which reads Markdown and shows pictures of it: every text is written as plain text."""
    lines = [map(_plain, columns), ("---" for _ in columns), *(map(_plain, row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _plain(value: Any) -> str:
    """A value in Markdown that shows itself: signs of HTML and of Markdown as character references, lines as `<br>`."""
    if isinstance(value, float):
        value = f"{value:.4g}"
    text = re.sub(
        r"[\\`*_{}\[\]()#+!|~-]", lambda sign: f"&#{ord(sign[0])};", html.escape("" if value is None else str(value))
    )
    return "<br>".join(text.splitlines())
