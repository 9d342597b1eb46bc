"""Reads a run folder into a `Run`: settings, machine, metrics, kept rollouts and evaluations.

All pages are made from it. The settings are not validated as a recipe, so that runs of an older harken can be shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harken.config import rename_keys
from harken.config.data import AUDIO_MODES
from harken.errors import DataError
from harken.report.run_files import JsonObject, read_object, read_rows, read_yaml
from harken.system.json_shapes import Shape
from harken.system.run_files import (
    COUNTS,
    ENVIRONMENT,
    HISTORY,
    METRICS,
    PREDICTIONS,
    ROLLOUTS,
    SUMMARY,
    numbered,
    require_rows,
)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One finished evaluation folder.

    Attributes:
        name: the folder below `eval/`, such as `test`, or `listening/none` of an evaluation with every kind of audio.
        model: the checkpoint or run that was evaluated, as its user gave it.
        audio: what the model heard, a mode of `harken.data.audio_modes`: "real" is the question's own clip.
        audio_root: folder of the clips; None where the evaluation does not name one.
        rows: the rows of predictions.jsonl.
        ids: ids of the questions. Two evaluations with the same ids are on the same questions.
    """

    path: Path
    name: str
    model: str
    audio: str
    audio_root: Path | None
    rows: Sequence[JsonObject]
    summary: JsonObject
    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Run:
    """One run folder.

    Attributes:
        config: config.yaml. environment: environment.json, empty where there is none.
        counts: data.json, how many records were kept and rejected; empty for a run of an older harken.
        history: the rows of history.jsonl: accepted changes of the run's inputs, and extensions.
        metrics: the rows of metrics.jsonl.
        rollouts: (step, rows) of each kept rollout, in order of step.
        evaluations: the finished evaluations in the folder, by name.
    """

    path: Path
    config: JsonObject
    environment: JsonObject
    counts: JsonObject
    history: Sequence[JsonObject]
    metrics: Sequence[JsonObject]
    rollouts: Sequence[tuple[int, Sequence[JsonObject]]]
    evaluations: Sequence[Evaluation]

    @property
    def model(self) -> str:
        """The checkpoint that the run started from, as the recipe names it."""
        return str(_section(self.config, "model").get("path", ""))

    @property
    def audio_roots(self) -> list[Path]:
        """Folders of the clips, as the recipe and the evaluations name them."""
        train = _section(self.config, "data").get("train")
        sources = [source for source in train if isinstance(source, dict)] if isinstance(train, list) else []
        roots = [*map(_audio_root, sources), *(evaluation.audio_root for evaluation in self.evaluations)]
        return list(dict.fromkeys(root for root in roots if root is not None))


def read_run(path: Path, *, with_rollouts: bool = True) -> Run:
    """Raises DataError where `path` is not a run folder, or where a file in it is damaged."""
    path = path.resolve()
    if not (path / "config.yaml").is_file():
        raise DataError(f"{path}: no config.yaml; give the folder of a run")
    metrics, history = path / "metrics.jsonl", path / "history.jsonl"
    return Run(
        path,
        config=rename_keys(dict(read_yaml(path / "config.yaml", path))),
        environment=_read_if_present(path / "environment.json", path, ENVIRONMENT),
        counts=_read_if_present(path / "data.json", path, COUNTS),
        history=read_rows(history, path, HISTORY) if history.exists() else [],
        metrics=read_rows(metrics, path, METRICS) if metrics.exists() else [],
        rollouts=[
            (step, read_rows(file, path, ROLLOUTS))
            for step, file in (numbered(path / "rollouts", ".jsonl") if with_rollouts else [])
        ],
        evaluations=read_evaluations(path),
    )


def read_evaluations(run: Path) -> list[Evaluation]:
    """The finished evaluations in a run folder, by name. Raises DataError where one is damaged."""
    run = run.resolve()
    listening = [file for mode in AUDIO_MODES for file in (run / "eval").glob(f"*/{mode}/summary.json")]
    return [_read_evaluation(file.parent, run) for file in sorted([*(run / "eval").glob("*/summary.json"), *listening])]


def read_start_evaluations(run: Run, within: Path | None = None) -> list[Evaluation]:
    """The evaluations of the run that this run started from; empty where it did not start from a run folder, and where
    that folder does not lie in `within`."""
    start = Path(run.model)
    if not run.model or not start.is_dir():
        return []
    start = start.resolve()
    folder = next((folder for folder in (start, *start.parents[:2]) if (folder / "config.yaml").is_file()), run.path)
    outside = within is not None and not folder.is_relative_to(within)
    return [] if folder == run.path or outside else read_evaluations(folder)


def _read_evaluation(path: Path, run: Path) -> Evaluation:
    summary, predictions = read_object(path / "summary.json", run, SUMMARY), path / "predictions.jsonl"
    audio = str(summary.get("audio", "real"))
    config = read_yaml(path / "config.yaml", run) if (path / "config.yaml").exists() else {}
    rows = read_rows(predictions, run, PREDICTIONS)
    require_rows(rows, predictions, "evaluate again")
    return Evaluation(
        path,
        name=path.relative_to(run / "eval").as_posix(),
        model=str(summary.get("model", "")),
        audio="real" if audio == "clip" else audio,  # an older harken wrote "clip"
        audio_root=_audio_root(_section(config, "data")),
        rows=rows,
        summary=summary,
        ids=frozenset(str(row["id"]) for row in rows),
    )


def _read_if_present(file: Path, folder: Path, shape: Shape) -> JsonObject:
    return read_object(file, folder, shape) if file.exists() else {}


def _audio_root(source: JsonObject) -> Path | None:
    """Folder of a data source's clips: `audio_root`, else the folder of its file."""
    if source.get("audio_root"):
        return Path(str(source["audio_root"]))
    return Path(str(source["file"])).parent if source.get("file") else None


def _section(values: JsonObject, key: str) -> JsonObject:
    section = values.get(key)
    return section if isinstance(section, dict) else {}
