"""The data card of a prepared set: tables that account for every record, as Markdown and on the terminal.

Each command of `harken prepare` builds a `Card` from its counts and writes it as card.md; `harken generate` uses the
same tables. The same input gives the same card: a card holds no date, host or run time.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.text import Text

from harken.prepare.licences import DataSource
from harken.results.formatting import markdown
from harken.system.fitting_table import FittingTable
from harken.types import Question

_DURATION_EDGES_S = (0, 1, 2, 5, 9, 9.9, 10.1, 11, 15, 30, 60, 300)
_MOST_REASONS = 30


@dataclass(frozen=True, slots=True)
class CardTable:
    """One table of a card: a title, the names of its columns, its rows. All columns but the first hold numbers."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def markdown(self) -> str:
        return f"## {self.title}\n\n{markdown(self.header, self.rows)}"

    def show(self, console: Console) -> None:
        """Print the table. Cells hold text from data files, so they are never read as markup."""
        console.print(Text(self.title))
        table = FittingTable(box=SIMPLE_HEAD)
        for index, name in enumerate(self.header):
            table.add_column(name, justify="right" if index else "left", no_wrap=index > 0)
        for row in self.rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)


@dataclass(frozen=True, slots=True)
class Card:
    """A data source, sentences about the set, and tables."""

    source: DataSource
    notes: Sequence[str]
    tables: Sequence[CardTable]

    def markdown(self) -> str:
        parts = [f"# {self.source.name}", f"Source: {self.source.url}", f"Licence: {self.source.licence}", *self.notes]
        return "\n\n".join([*parts, *(table.markdown() for table in self.tables)]) + "\n"

    def show(self, console: Console) -> None:
        for line in (f"{self.source.name}, {self.source.url}", f"licence: {self.source.licence}", *self.notes):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        for table in self.tables:
            if table.rows:
                table.show(console)


def account_tables(n_kept: int, reasons: Mapping[str, int]) -> list[CardTable]:
    """Count the records read, kept and rejected, and the rejected ones by reason."""
    n_rejected = sum(reasons.values())
    tables = [count_table("Records", {"records read": n_kept + n_rejected, "kept": n_kept, "rejected": n_rejected})]
    if reasons:
        ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        n_other = sum(n for _, n in ordered[_MOST_REASONS:])
        rows = dict(ordered[:_MOST_REASONS]) | ({"other reasons": n_other} if n_other else {})
        tables.append(count_table("Rejected records by reason", rows))
    return tables


def count_table(title: str, numbers: Mapping[str, int]) -> CardTable:
    """A table of names and numbers."""
    return CardTable(title, ("", "n"), [(name, f"{n:,}") for name, n in numbers.items()])


def duration_table(title: str, durations_s: Iterable[float]) -> CardTable:
    """A histogram of clip durations, with the number of clips and their sum in its header."""
    values = sorted(durations_s)
    edges = (*_DURATION_EDGES_S, float("inf"))
    rows = [
        (f"{low:g} to {high:g} s" if high < float("inf") else f"{low:g} s and more", n)
        for low, high in pairwise(edges)
        if (n := sum(low <= value < high for value in values))
    ]
    total = f"{len(values):,} clips, {sum(values) / 3600:.2f} h"
    return CardTable(title, ("duration", total), [(name, f"{n:,}") for name, n in rows])


class QuestionTables:
    """Counts questions one after another for a card: the positions of right answers, and repeated questions. Memory
    holds 16 bytes of hashes a question."""

    def __init__(self) -> None:
        self._by_size: dict[int, Counter[int]] = {}
        self._n_hidden = 0
        self._with_clip, self._texts = array("q"), array("q")

    def add(self, question: Question) -> None:
        if question.answer is None:
            self._n_hidden += 1
        else:
            self._by_size.setdefault(len(question.choices), Counter())[question.answer] += 1
        choices = sorted(choice.casefold() for choice in question.choices)
        plain = " ".join(question.text.casefold().split()), *choices
        self._texts.append(hash(plain))
        self._with_clip.append(hash((plain, question.audio)))

    def position_table(self) -> CardTable:
        """At which position the right answer stands, for each number of choices."""
        rows = [
            (f"{size} choices, {sum(at.values()):,} questions", " / ".join(f"{at[index]:,}" for index in range(size)))
            for size, at in sorted(self._by_size.items())
        ]
        if self._n_hidden:
            rows.append(("questions whose answer is hidden", f"{self._n_hidden:,}"))
        return CardTable("Position of the right answer, first to last", ("", "n"), rows)

    def duplicate_table(self, digests: Sequence[str]) -> CardTable:
        """The questions and clips that an earlier one repeats.

        Args:
            digests: one hash of samples a clip.
        """
        return count_table(
            "Duplicates",
            {
                "questions that repeat an earlier one about the same clip": _n_repeated(self._with_clip),
                "questions that repeat an earlier one about any clip": _n_repeated(self._texts),
                "clips with the same samples as an earlier clip": len(digests) - len(set(digests)),
            },
        )


def _n_repeated(hashes: "array[int]") -> int:
    return len(hashes) - len(np.unique(np.frombuffer(hashes, np.int64)))
