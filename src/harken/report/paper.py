"""Runs in their rows of the papers' tables.

Takes runs and their evaluations, gives each published table that some evaluation is about, with the run's figures and
intervals, and for a row that a recipe names the reason why there are none. Placing and refusing are those of
`harken compare --published` (`harken.results.beside_paper`). Not taken: a table that the questions only resemble.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harken.errors import DataError
from harken.papers import TABLES, PublishedTable
from harken.report.accuracy import AFTER, BEFORE, QuestionSet
from harken.report.run import Run
from harken.results.beside_paper import place_in_table
from harken.results.beside_paper_table import beside_paper_header, beside_paper_notes, printed_digits
from harken.stats import Estimate


@dataclass(frozen=True, slots=True)
class OwnRow:
    """Figures of a run beside a paper's: one for each column, None where the run was not measured on it."""

    label: str
    figures: list[Estimate | None]


@dataclass(frozen=True, slots=True)
class PaperTable:
    """Attributes:
    rows: the row of the paper that a recipe names -> our rows beside it; "" holds those of runs that name none.
    missing: why a run that names a row has no figure here.
    """

    table: PublishedTable
    rows: dict[str, list[OwnRow]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def named(self) -> bool:
        """Whether a recipe says that it stands here."""
        return any(self.rows) or bool(self.missing)

    @property
    def header(self) -> list[str]:
        return beside_paper_header(self.table)

    @property
    def notes(self) -> str:
        return beside_paper_notes(self.table)

    def written(self, figure: Estimate) -> tuple[str, str]:
        """Percent with the digits of the table, and its interval."""
        low, high = (f"{100 * bound:.1f}" for bound in (figure.low, figure.high))
        return f"{100 * figure.mean:.{printed_digits(self.table)}f}", f"[{low}, {high}]"


def paper_tables(names: Sequence[str], runs: Sequence[Run], sets: Sequence[Sequence[QuestionSet]]) -> list[PaperTable]:
    """Those with a figure of some run, or named by its recipe: the named ones first."""
    found = {key: PaperTable(table) for key, table in TABLES.items()}
    for name, run, of_run in zip(names, runs, sets, strict=True):
        named = _named(run)
        for key, paper in found.items():
            placed, reasons = _placed(of_run, paper.table)
            row = named.get(key, "")
            ours = [OwnRow(f"{name}, {when}", placed[when]) for when in (BEFORE, AFTER) if when in placed]
            paper.rows.setdefault(row, []).extend(ours)
            if key in named and not placed:
                paper.missing.extend(f"{name}, row “{row}”: {why}" for why in reasons or _NOTHING)
    shown = [one for one in found.values() if any(one.rows.values()) or one.missing]
    return sorted(shown, key=lambda one: not one.named)


_NOTHING = ("no evaluation in the run folder yet",)


def _placed(
    sets: Sequence[QuestionSet], table: PublishedTable
) -> tuple[dict[str, list[Estimate | None]], dict[str, None]]:
    """({before or after: a figure for each column}, why evaluations have no place): with the clip and without it, and
    the parts of a benchmark, are columns of one row."""
    placed: dict[str, list[Estimate | None]] = {}
    reasons: dict[str, None] = {}
    for questions in sets:
        for (when, _), one in questions.evaluations.items():
            try:
                figures = place_in_table(one.path, table)
            except DataError as error:
                reasons[f"{one.name}: {str(error).removeprefix(f'{one.path}: ')}"] = None
                continue
            there = placed.get(when, [None] * len(figures))
            placed[when] = [a if b is None else b for a, b in zip(there, figures, strict=True)]
    return placed, reasons


def _named(run: Run) -> dict[str, str]:
    """Table -> row, as the recipe says; what is no such thing in an older file counts as nothing."""
    given: Any = run.config.get("published")
    entries = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    return {str(one.get("table")): str(one.get("row")) for one in entries if str(one.get("table")) in TABLES}
