"""Tables that show a paper's rows with the user's runs below them, for a terminal and for Markdown.

The columns of a published table are narrow, so the interval and n of a run stand in lines of their own.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from rich.table import Table

from harken.papers import PublishedTable
from harken.results.formatting import terminal_table
from harken.stats import Estimate

_JUDGED = "‡"


def beside_paper_header(table: PublishedTable) -> list[str]:
    """The paper's headings. The upper heading is left out where the lower headings alone are all different."""
    names = Counter(column.heading[-1] for column in table.columns)
    headings = [column.heading if max(names.values()) > 1 else column.heading[-1:] for column in table.columns]
    return [", ".join(table.labels), *(re.sub(r" \([^)]* audios\)", "", " ".join(words)) for words in headings)]


def beside_paper_rows(table: PublishedTable, runs: Mapping[str, Sequence[Estimate | None]]) -> list[list[str]]:
    """The paper's rows, then three lines for each run: its accuracies with as many digits as the paper prints, their
    intervals, and n.

    Args:
        runs: for each run's name its figures, from `place_in_table`.
    """
    rows, section = [], ""
    empty = [""] * len(table.columns)
    for row in table.rows:
        if row.section != section:
            section = row.section
            rows.append([f"{section}:", *empty])
        figures = ["-" if value is None else str(value) for value in row.values]
        rows.append([row.name + (f" {_JUDGED}" if row.judged else ""), *figures])
    digits = printed_digits(table)
    rows.append(["your runs:" if len(runs) > 1 else "your run:", *empty])
    for name, figures in runs.items():
        rows.append([name, *("-" if own is None else f"{100 * own.mean:.{digits}f}" for own in figures)])
        bounds = ("" if own is None else f"{100 * own.low:.0f}-{100 * own.high:.0f}" for own in figures)
        rows.append(["  95 %", *bounds])
        rows.append(["  n", *("" if own is None else str(own.n) for own in figures)])
    return rows


def beside_paper_notes(table: PublishedTable) -> str:
    """Sentences that a reader needs to compare the user's runs with the paper's rows."""
    notes = ["Your runs: harken's grader reads the choice, and intervals are 95 %, clustered by clip."]
    if any(row.judged for row in table.rows):
        notes.append(f"{_JUDGED} scored by an LLM judge, not by matching.")
    if any(not column.group for column in table.columns):
        notes.append("The paper does not say which mean its AIR-Bench average is.")
    return " ".join(notes)


def beside_paper_table(table: PublishedTable, runs: Mapping[str, Sequence[Estimate | None]]) -> Table:
    """The table for the terminal; arguments as for `beside_paper_rows`."""
    labels, *headings = beside_paper_header(table)
    narrow = [heading.replace("-", "-\n").replace(" ", "\n") for heading in headings]
    title = f"{table.source}: {table.about}; accuracy, %"
    return terminal_table(title, (labels, *narrow), beside_paper_rows(table, runs), beside_paper_notes(table), gap=0)


def printed_digits(table: PublishedTable) -> int:
    """Digits after the decimal point of the table's most exact figure."""
    return max(-int(value.as_tuple().exponent) for row in table.rows for value in row.values if value is not None)
