"""Puts runs into their rows of the papers' tables, for the report.

A run stands under the row that its recipe names, else at the end of each table that its evaluations fit. Which figures
fit, and why others are refused, is decided by `harken.results.beside_paper`, as in `harken compare --published`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harken.errors import DataError
from harken.papers import TABLES, PublishedTable
from harken.report.question_sets import AFTER, BEFORE, QuestionSet
from harken.report.run import Run
from harken.results.beside_paper import place_in_table
from harken.results.beside_paper_table import beside_paper_header, beside_paper_notes, printed_digits
from harken.stats import Estimate


@dataclass(frozen=True, slots=True)
class OwnRow:
    """The figures of one run, one for each column; None where the run was not evaluated on what the column is about."""

    label: str
    figures: list[Estimate | None]


@dataclass(frozen=True, slots=True)
class PaperTable:
    """A published table with the runs' rows.

    Attributes:
        rows: the runs' rows by the paper's row that they stand under; "" holds those whose recipe names no row.
        missing: for each run whose recipe names a row but has no figure, the reason.
    """

    table: PublishedTable
    rows: dict[str, list[OwnRow]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def named(self) -> bool:
        """Whether some recipe names a row of this table."""
        return any(self.rows) or bool(self.missing)

    @property
    def header(self) -> list[str]:
        return beside_paper_header(self.table)

    @property
    def notes(self) -> str:
        return beside_paper_notes(self.table)

    def figure_text(self, figure: Estimate) -> tuple[str, str]:
        """A figure in percent with as many digits as the paper prints, and its interval."""
        low, high = (f"{100 * bound:.1f}" for bound in (figure.low, figure.high))
        return f"{100 * figure.mean:.{printed_digits(self.table)}f}", f"[{low}, {high}]"


def paper_tables(names: Sequence[str], runs: Sequence[Run], sets: Sequence[Sequence[QuestionSet]]) -> list[PaperTable]:
    """The tables in which some run has a figure or whose row some recipe names; the named tables come first.

    Args:
        names, sets: the name and the question sets of each run.
    """
    papers = {key: PaperTable(table) for key, table in TABLES.items()}
    for name, run, run_sets in zip(names, runs, sets, strict=True):
        named_rows = _named_rows(run)
        for key, paper in papers.items():
            placed, reasons = _placed(run_sets, paper.table)
            row = named_rows.get(key, "")
            own = [OwnRow(f"{name}, {when}", placed[when]) for when in (BEFORE, AFTER) if when in placed]
            paper.rows.setdefault(row, []).extend(own)
            if key in named_rows and not placed:
                reasons = reasons or ["the run folder holds no evaluation yet"]
                paper.missing.extend(f"{name}, row “{row}”: {reason}" for reason in reasons)
    shown = [paper for paper in papers.values() if any(paper.rows.values()) or paper.missing]
    return sorted(shown, key=lambda paper: not paper.named)


def _placed(sets: Sequence[QuestionSet], table: PublishedTable) -> tuple[dict[str, list[Estimate | None]], list[str]]:
    """The figures of one run by before and after, and why some of its evaluations do not fit the table.

    Evaluations with and without the clip, and on different parts of a benchmark, fill different columns of one row.
    """
    placed: dict[str, list[Estimate | None]] = {}
    reasons: dict[str, None] = {}
    for questions in sets:
        for (when, _), evaluation in questions.evaluations.items():
            try:
                figures = place_in_table(evaluation.path, table)
            except DataError as error:
                reasons[f"{evaluation.name}: {str(error).removeprefix(f'{evaluation.path}: ')}"] = None
                continue
            earlier = placed.get(when, [None] * len(figures))
            placed[when] = [old if new is None else new for old, new in zip(earlier, figures, strict=True)]
    return placed, list(reasons)


def _named_rows(run: Run) -> dict[str, str]:
    """The row that the recipe names in each table. Entries of an older or damaged recipe are ignored."""
    published: Any = run.config.get("published")
    entries = [entry for entry in published if isinstance(entry, dict)] if isinstance(published, list) else []
    return {str(entry.get("table")): str(entry.get("row")) for entry in entries if str(entry.get("table")) in TABLES}
