"""One run folder as values: settings, machine, metric rows, kept rollouts, evaluations.

Takes a path, gives a `Run`. Training may be writing into the folder: half of a last line is left for the next reading.
Not taken: validating config.yaml as a recipe (a run of an older harken can be looked at too), and following a link that
leads out of the folder.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harken.errors import DataError
from harken.system.json_lines import read_json_lines

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation folder, finished.

    Attributes:
        model: the checkpoint or run it was made with, as it was given.
        heard: whether the clips were heard.
        audio_root: folder of the clips.
        ids: ids of its questions; the same ids are the same questions.
    """

    path: Path
    model: str
    heard: bool
    audio_root: Path | None
    rows: Sequence[Row]
    summary: Row
    ids: frozenset[str]

    @property
    def name(self) -> str:
        return self.path.name


@dataclass(frozen=True, slots=True)
class Run:
    """Attributes:
    counts: of records, kept and left out; empty for a run of an older harken.
    rollouts: (step, rows) in order of step.
    evaluations: those in the folder, by name.
    """

    path: Path
    config: Row
    environment: Row
    counts: Row
    metrics: Sequence[Row]
    rollouts: Sequence[tuple[int, Sequence[Row]]]
    evaluations: Sequence[Evaluation]

    @property
    def model(self) -> str:
        """What the run started from, as the recipe says it."""
        return str(_section(self.config, "model").get("path", ""))

    @property
    def audio_roots(self) -> list[Path]:
        """Folders of the clips, by what recipe and evaluations say."""
        sources = _section(self.config, "data").get("train")
        given = [_root(one) for one in sources if isinstance(one, dict)] if isinstance(sources, list) else []
        roots = [*given, *(one.audio_root for one in self.evaluations)]
        return list(dict.fromkeys(root for root in roots if root is not None))


def read_run(path: Path) -> Run:
    """Raises DataError where `path` is no run folder, or a file in it cannot be read as what it should be."""
    path = path.resolve()
    if not (path / "config.yaml").is_file():
        raise DataError(f"{path}: no config.yaml; give the folder of a run")
    config = _yaml(path / "config.yaml", path)
    environment = _json(path / "environment.json", path) if (path / "environment.json").exists() else {}
    metrics = path / "metrics.jsonl"
    files = sorted((path / "rollouts").glob("step_*.jsonl"))
    return Run(
        path,
        config,
        environment,
        _json(path / "data.json", path) if (path / "data.json").exists() else {},
        read_rows(metrics, path) if metrics.exists() else [],
        [(int(file.stem.removeprefix("step_")), read_rows(file, path)) for file in files],
        read_evaluations(path),
    )


def read_evaluations(run: Path) -> list[Evaluation]:
    """The finished evaluations in a run folder, by name."""
    run = run.resolve()
    return [_evaluation(file.parent, run) for file in sorted((run / "eval").glob("*/summary.json"))]


def start_evaluations(run: Run) -> list[Evaluation]:
    """Those of the run that this one started from, where its checkpoint is a folder of another run on this machine."""
    start = Path(run.model)
    if not run.model or not start.is_dir():
        return []
    start = start.resolve()
    found = next((folder for folder in (start, *start.parents[:2]) if (folder / "config.yaml").is_file()), run.path)
    return [] if found == run.path else read_evaluations(found)


def read_rows(file: Path, folder: Path) -> Sequence[Row]:
    """The whole lines of a file of JSON lines in `folder`; unchanged files are read once. Raises DataError."""
    status = _inside(file, folder).stat()
    return _rows(file, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=4096)
def _rows(file: Path, mtime_ns: int, size: int) -> Sequence[Row]:
    return read_json_lines(file)


def _evaluation(path: Path, run: Path) -> Evaluation:
    summary = _json(path / "summary.json", run)
    config = _yaml(path / "config.yaml", run) if (path / "config.yaml").exists() else {}
    rows = read_rows(path / "predictions.jsonl", run)
    for number, row in enumerate(rows, start=1):
        missing = _PREDICTION - row.keys()
        if missing:
            raise DataError(f"{path / 'predictions.jsonl'}:{number}: key {min(missing)!r} is missing; evaluate again")
    heard = summary.get("audio") != "none"
    ids = frozenset(str(row["id"]) for row in rows)
    root = _root(_section(config, "data"))
    return Evaluation(path, str(summary.get("model", "")), heard, root, rows, summary, ids)


_PREDICTION = {"id", "clip", "task", "difficulty", "question", "choices", "completion", "choice", "correct", "reason"}


def _root(source: Row) -> Path | None:
    """Folder of a source's clips."""
    if source.get("audio_root"):
        return Path(str(source["audio_root"]))
    return Path(str(source["file"])).parent if source.get("file") else None


def _section(values: Row, key: str) -> Row:
    section = values.get(key)
    return section if isinstance(section, dict) else {}


def _json(file: Path, folder: Path) -> Row:
    try:
        value = json.loads(_inside(file, folder).read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: not JSON; restore the file") from error
    return _mapping(value, file)


def _yaml(file: Path, folder: Path) -> Row:
    try:
        value = yaml.safe_load(_inside(file, folder).read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{file}: not YAML; restore the file") from error
    return _mapping(value, file)


def _mapping(value: Any, file: Path) -> Row:
    if not isinstance(value, dict):
        raise DataError(f"{file}: expected a mapping of keys, found {type(value).__name__}; restore the file")
    return value


def _inside(file: Path, folder: Path) -> Path:
    if not file.resolve().is_relative_to(folder):
        raise DataError(f"{file}: a link that leads out of {folder}; copy the file there")
    if not file.is_file():
        raise DataError(f"{file}: no such file; the folder is not whole")
    return file
