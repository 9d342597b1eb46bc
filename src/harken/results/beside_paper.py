"""Puts the accuracies of an evaluation into the columns of a published table.

A column takes a figure only where benchmark, version, part and use of audio are the same as in the paper; any other
figure is refused with the reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from harken.errors import DataError
from harken.papers import TABLES, Column, MeasuredOn, PublishedTable
from harken.stats import Estimate

WITH_AUDIO = {"clip": True, "real": True, "none": False}
"""Whether an audio mode of summary.json is with audio in the sense of the papers' columns. Silence, noise and another
question's clip are in no published table."""
BASELINE_NAMES = {"random-guess", "most-frequent-choice"}
"""Models of harken/evaluation/baselines.py. They never use audio, so they also stand in columns with audio."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The parts of an evaluation's summary.json that placing needs."""

    audio: str
    benchmark: MeasuredOn | None = None
    model: str | None = None
    accuracy: dict[str, Estimate] = field(default_factory=dict)


def read_summary(folder: Path) -> RunSummary:
    """Raises DataError where the folder holds no summary, or one that cannot be read."""
    path = folder / "summary.json"
    if not path.is_file():
        raise DataError(f"{folder}: no summary.json; give a folder that `harken evaluate` wrote")
    try:
        return TypeAdapter(RunSummary).validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path}: {key}: {first['msg']}; evaluate again") from error


def place_in_table(folder: Path, table: PublishedTable) -> list[Estimate | None]:
    """The evaluation's accuracy for each column of the table; None for a column on other questions or other audio.

    Raises DataError where the summary does not name its benchmark, where no column is on that benchmark (the message
    names the tables that have one), and where the evaluation has no accuracy.
    """
    run = read_summary(folder)
    if run.benchmark is None:
        raise DataError(
            f"{folder}: summary.json names no benchmark (`benchmark`: name, version, part), so the evaluation has no "
            "place in a published table; evaluate again on the benchmark's own file"
        )
    fitting = [_fits(run, run.benchmark, column) for column in table.columns]
    if not any(fitting):
        raise DataError(f"{folder}: {_refusal(run, run.benchmark, table)}")
    if not run.accuracy:
        raise DataError(f"{folder}: the evaluation has no accuracy because the benchmark hides its answers")
    return [
        run.accuracy.get(column.group) if fits else None for column, fits in zip(table.columns, fitting, strict=True)
    ]


def place_beside_rows(
    folder: Path, rows: Mapping[str, str]
) -> tuple[list[tuple[PublishedTable, list[Estimate | None]]], list[str]]:
    """Put an evaluation beside the rows that a recipe names.

    Args:
        rows: name of a row by the key of its table.

    Returns the tables that the evaluation fits, each cut down to that row, with the evaluation's figure for each
    column; and for each other table the reason why it does not fit.
    """
    placed, reasons = [], []
    for key, name in rows.items():
        table = TABLES[key]
        try:
            figures = place_in_table(folder, table)
        except DataError as error:
            reasons.append(str(error))
            continue
        placed.append((replace(table, rows=tuple(row for row in table.rows if row.name == name)), figures))
    return placed, reasons


def _fits(run: RunSummary, measured: MeasuredOn, column: Column) -> bool:
    on = column.benchmark
    same = on.name == measured.name and on.version in ("", measured.version) and on.part in ("", measured.part)
    return same and (WITH_AUDIO.get(run.audio) is column.with_audio or run.model in BASELINE_NAMES)


def _refusal(run: RunSummary, measured: MeasuredOn, table: PublishedTable) -> str:
    """Why the evaluation fits no column of the table, and which tables it fits."""
    known = list(dict.fromkeys(column.benchmark for column in table.columns))
    reason = f"the evaluation is on {measured}, but {table.source} is on {', '.join(map(str, known))}"
    versions = {benchmark.version for benchmark in known if benchmark.name == measured.name}
    if versions and not versions & {"", measured.version}:
        version = measured.version or "an unnamed version"
        reason += f": {version} and {', '.join(versions)} are different benchmarks and never share a table"
    elif any((benchmark.name, benchmark.part) == (measured.name, measured.part) for benchmark in known):
        reason = f"{table.source} has no column on {measured} with audio {run.audio!r}"
    others = [key for key, other in TABLES.items() if any(_fits(run, measured, column) for column in other.columns)]
    return f"{reason}; tables that fit the evaluation: {', '.join(others) or 'none'}"
