"""A run of ours in its row of a published table.

Takes an evaluation folder and a table, gives one estimate for each column that is about the same questions, asked in
the same way. Not taken: a figure of one benchmark version beside those of another, with a remark; it is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from harken.errors import DataError
from harken.papers import TABLES, Benchmark, Column, PublishedTable
from harken.stats import Estimate

HEARD = {"clip": True, "real": True, "none": False}
"""What a summary says of audio that the papers' columns know; silence, noise and exchanged clips are in no table."""
BASELINES = {"random-guess", "most-frequent-choice"}
"""Models of harken/evaluation/baselines.py: they hear nothing either way, and stand in columns with audio too."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What summary.json says of a run, as far as a table asks."""

    audio: str
    benchmark: Benchmark | None = None
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
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path}: {place}: {first['msg']}; evaluate again") from error


def place(folder: Path, table: PublishedTable) -> list[Estimate | None]:
    """The run's accuracy for each column of the table; None where the column is about something else.

    Raises DataError where the run does not say what it was measured on, where no column is about that (naming the
    tables that have one), and where it has no accuracy.
    """
    run = read_summary(folder)
    if run.benchmark is None:
        raise DataError(
            f"{folder}: summary.json does not say which benchmark and version the run is on (`benchmark`: name, "
            "version, part), so no row of a published table is its own; evaluate again on a benchmark's own file"
        )
    fitting = [_fits(run, run.benchmark, column) for column in table.columns]
    if not any(fitting):
        raise DataError(f"{folder}: {_refusal(run, run.benchmark, table)}")
    if not run.accuracy:
        raise DataError(f"{folder}: the run has no accuracy (hidden answers): there is nothing to show")
    return [
        run.accuracy.get(column.group) if fits else None for column, fits in zip(table.columns, fitting, strict=True)
    ]


def place_beside(
    folder: Path, rows: Mapping[str, str]
) -> tuple[list[tuple[PublishedTable, list[Estimate | None]]], list[str]]:
    """The rows that a recipe names, beside the run.

    Args:
        rows: key of a table -> name of a row in it.

    Returns the tables that the run is about, each with that row alone, and the run's figures for its columns; and for
    each other table why the run has no place in it.
    """
    placed, reasons = [], []
    for key, row in rows.items():
        table = TABLES[key]
        try:
            figures = place(folder, table)
        except DataError as error:
            reasons.append(str(error))
            continue
        placed.append((replace(table, rows=tuple(one for one in table.rows if one.name == row)), figures))
    return placed, reasons


def _fits(run: RunSummary, measured: Benchmark, column: Column) -> bool:
    on = column.benchmark
    same = on.name == measured.name and on.version in ("", measured.version) and on.part in ("", measured.part)
    return same and (HEARD.get(run.audio) is column.heard or run.model in BASELINES)


def _refusal(run: RunSummary, measured: Benchmark, table: PublishedTable) -> str:
    """Why no column fits, and which tables have one that does."""
    known = list(dict.fromkeys(column.benchmark for column in table.columns))
    said = f"the run is on {measured}, {table.source} is on {', '.join(map(str, known))}"
    versions = {one.version for one in known if one.name == measured.name}
    if versions and not versions & {"", measured.version}:
        version = measured.version or "an unnamed version"
        said += f": {version} and {', '.join(versions)} are two benchmarks, and their figures never share a table"
    elif any((one.name, one.part) == (measured.name, measured.part) for one in known):
        said += f", and none of its columns is with audio {run.audio!r}"
    others = [key for key, other in TABLES.items() if any(_fits(run, measured, column) for column in other.columns)]
    return f"{said}; tables that fit the run: {', '.join(others) or 'none'}"
