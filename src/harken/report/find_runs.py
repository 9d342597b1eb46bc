"""Finds the runs below a folder, and reads of each what the page over many runs shows.

A run is named by its path below the folder. Links are not followed, so what lies outside is never read.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harken.errors import HarkenError
from harken.report.accuracy import GroupAccuracy, whole_accuracy
from harken.report.curves import number
from harken.report.question_sets import question_sets
from harken.report.result_line import development_line, result_parts
from harken.report.run import Run, read_run
from harken.report.settings import flatten
from harken.stats import Estimate

DEEPEST = 4
"""Levels of folders below the given one in which runs are found."""
MOST_RUNS = 500
_PARTS_OF_A_RUN = ("metrics.jsonl", "inputs.json", "data.json", "rollouts", "checkpoints")
_WATCHED = ("config.yaml", "metrics.jsonl", "eval/*/summary.json", "eval/*/*/summary.json")

Row = dict[str, Any]


def find_runs(root: Path) -> list[Path]:
    """The run folders at or below `root`, by name, 500 at most. Inside a run no other run is looked for."""
    return sorted(path for path, _ in zip(_runs_below(root.resolve(), DEEPEST), range(MOST_RUNS), strict=False))


def is_run(folder: Path) -> bool:
    """Whether the folder holds settings and something that only a run writes; an evaluation has settings too."""
    return (folder / "config.yaml").is_file() and any((folder / name).exists() for name in _PARTS_OF_A_RUN)


def run_key(name: str) -> str:
    """The name of a run in an address: a hash of its path, because an address cannot hold every character."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def state_of(run: Path) -> tuple[Any, ...]:
    """Names, times of change and sizes of the run's own files that `read_row` reads."""
    stats = [(str(file), file.stat()) for pattern in _WATCHED for file in sorted(run.glob(pattern))]
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)


def read_row(run: Path, name: str, root: Path) -> Row:
    """One row of the table: {name, key, changed, step, steps, results, result, settings}, or {..., fault} where a file
    is damaged.

    `results` holds, by the ids of the questions, the figures of the run on each set of questions; `result` is the line
    that a run without an evaluation has; `changed` is a time in seconds since 1970. The evaluations of the run that
    this one started from are read where that run lies below `root`.
    """
    row: Row = {"name": name, "key": run_key(name), "changed": _changed(run), "step": 0, "steps": None}
    row |= {"results": {}, "result": "", "settings": {}}
    try:
        read = read_run(run, with_rollouts=False)
        results = {
            questions.ids: (questions.name, whole_accuracy(questions)) for questions in question_sets(read, within=root)
        }
    except HarkenError as error:
        return row | {"fault": str(error)}
    return row | {
        "step": max((number(metrics.get("step")) or 0 for metrics in read.metrics), default=0),
        "steps": _planned(read),
        "results": {
            ids: {"set": of, "line": "; ".join(result_parts(whole)), **_figures(whole)}
            for ids, (of, whole) in results.items()
        },
        "result": "" if results else development_line(read),
        "settings": flatten(read.config),
    }


def _runs_below(folder: Path, depth: int) -> Iterator[Path]:
    if is_run(folder):
        yield folder
        return
    if depth == 0:
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # a folder that may not be read holds no run that could be shown
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            yield from _runs_below(Path(entry.path), depth - 1)


def _figures(whole: GroupAccuracy) -> Row:
    """The figures that the table sorts by: [mean, low, high] each, None where the run was not evaluated so."""
    names = ("before", "after", "gain", "before_without_audio", "after_without_audio", "audio_gain")
    return {"n": whole.n, **{name: _bounds(getattr(whole, name)) for name in names}}


def _bounds(figure: Estimate | None) -> Sequence[float] | None:
    return None if figure is None else [figure.mean, figure.low, figure.high]


def _planned(run: Run) -> int | None:
    section = run.config.get("sft" if any("loss/sft" in row for row in run.metrics) else "grpo")
    steps = section.get("steps") if isinstance(section, dict) else None
    return steps if isinstance(steps, int) else None


def _changed(run: Path) -> float:
    return max((time_ns for _, time_ns, _ in state_of(run)), default=0) / 1e9
