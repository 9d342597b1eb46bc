"""The types of a published table, and the reader of the block of text in which each table is written.

Figures are Decimals, which keep the printed digits: 68.00 and 68.0 stay different. No figure of a paper is corrected.
"""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class MeasuredOn:
    """What a figure was measured on. `version` and `part` are "" where there is only one, or the paper names none."""

    name: str
    version: str = ""
    part: str = ""

    def __str__(self) -> str:
        return " ".join(word for word in (self.name, self.version, self.part) if word)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of figures.

    Attributes:
        heading: the headings printed over it, from the top down.
        benchmark: the benchmark, its version and its part.
        group: the questions that the column is over, named as in a summary: "all", or a task or modality; "" where the
            paper does not say which mean it is, so that no figure of a run belongs there.
        with_audio: False where the models answered without the clip.
    """

    heading: tuple[str, ...]
    benchmark: MeasuredOn
    group: str
    with_audio: bool = True


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row.

    Attributes:
        section: the section of the table that the row stands in; "" where the table has no sections.
        labels: its labels without citations.
        values: a figure for each column; None where the paper prints a dash.
        judged: whether an LLM judge scored it, where the other rows are scored by matching.
    """

    section: str
    labels: tuple[str, ...]
    values: tuple[Decimal | None, ...]
    judged: bool

    @property
    def name(self) -> str:
        return ", ".join(label for label in self.labels if label.strip("-–—"))


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """A table of accuracies in percent.

    Attributes:
        source: paper, version and table, as one cites them.
        about: what the table shows.
        labels: headings of the columns before the figures.
    """

    source: str
    about: str
    labels: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]


def read_table(
    source: str, about: str, labels: tuple[str, ...], columns: tuple[Column, ...], text: str
) -> PublishedTable:
    """Read a table from text with one row a line: `label | label | 61.6 74.0 - 55.5`.

    A row that an LLM judge scored ends in `| judged`. A line that ends in a colon opens a section. Raises ValueError
    for a row that does not fit the columns.
    """
    rows, section = [], ""
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.endswith(":"):
            section = line[:-1]
            continue
        cells = [cell.strip() for cell in line.split("|")]
        names, figures, marks = cells[: len(labels)], cells[len(labels)].split(), cells[len(labels) + 1 :]
        if len(figures) != len(columns) or marks not in ([], ["judged"]):
            raise ValueError(f"{source}: {line!r} does not fit {len(labels)} labels and {len(columns)} columns")
        values = tuple(None if figure == "-" else Decimal(figure) for figure in figures)
        rows.append(TableRow(section, tuple(names), values, judged=bool(marks)))
    return PublishedTable(source, about, labels, columns, tuple(rows))
