"""What a prepared set is: counts that add up, as Markdown and on the terminal.

Takes questions, rejections and measures of clips, gives a `Card` of small tables. The same input gives the same card:
no dates, no host, no run times. Not taken: statistics of the sound itself.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harken.prepare.licences import Source
from harken.results.formatting import markdown
from harken.types import Question, Rejected

Rows = Sequence[tuple[str, str]]
_DURATION_EDGES_S = (0, 1, 2, 5, 9, 9.9, 10.1, 11, 15, 30, 60, 300)
_MOST_REASONS = 30


@dataclass(frozen=True, slots=True)
class Section:
    """One table: a heading, the name of its two columns, its rows."""

    title: str
    header: tuple[str, str]
    rows: Rows


@dataclass(frozen=True, slots=True)
class Card:
    source: Source
    notes: Sequence[str]
    sections: Sequence[Section]

    def markdown(self) -> str:
        lines = [f"# {self.source.name}", "", f"Source: {self.source.url}", "", f"Licence: {self.source.licence}", ""]
        lines += [line for note in self.notes for line in (note, "")]
        for section in self.sections:
            lines += [f"## {section.title}", "", markdown(section.header, section.rows), ""]
        return "\n".join(lines).rstrip() + "\n"

    def show(self, console: Console) -> None:
        """Print the tables. Reasons hold names from data files: shown as they are, never read as markup."""
        for line in (f"{self.source.name}, {self.source.url}", f"licence: {self.source.licence}", *self.notes):
            console.print(line, markup=False, highlight=False)
        for section in self.sections:
            table = Table(title=section.title, title_justify="left", box=SIMPLE_HEAD)
            table.add_column(section.header[0], justify="left")
            table.add_column(section.header[1], justify="right", no_wrap=True)
            for row in section.rows:
                table.add_row(*(Text(cell) for cell in row))
            console.print(table)


def account(n_kept: int, reasons: Mapping[str, int]) -> list[Section]:
    """In = kept + rejected, and the rejected by reason."""
    n_rejected = sum(reasons.values())
    sections = [counts("Account", {"records in": n_kept + n_rejected, "kept": n_kept, "rejected": n_rejected})]
    if reasons:
        ordered = sorted(reasons.items(), key=lambda one: (-one[1], one[0]))
        rest = sum(n for _, n in ordered[_MOST_REASONS:])
        listed = dict(ordered[:_MOST_REASONS]) | ({"other reasons": rest} if rest else {})
        sections.append(counts("Rejected, by reason", listed))
    return sections


def by_reason(rejected: Iterable[Rejected]) -> Counter[str]:
    """How often each reason occurs, the values it names left out."""
    return Counter(kind_of(one.reason) for one in rejected)


def kind_of(reason: str) -> str:
    """`answer out of range: 7 of 4` -> `answer out of range`: what stands before a value, a detail or advice."""
    return re.split(r": | \(|; ", reason, maxsplit=1)[0][:120]


def counts(title: str, numbers: Mapping[str, int]) -> Section:
    return Section(title, ("", "n"), [(name, f"{n:,}") for name, n in numbers.items()])


def durations(title: str, durations_s: Iterable[float]) -> Section:
    """Histogram over clips, with their number and sum."""
    values = sorted(durations_s)
    edges = (*_DURATION_EDGES_S, float("inf"))
    rows = [
        (f"{low:g} to {high:g} s" if high < float("inf") else f"{low:g} s and more", n)
        for low, high in pairwise(edges)
        if (n := sum(low <= value < high for value in values))
    ]
    total = f"{len(values):,} clips, {sum(values) / 3600:.2f} h"
    return Section(title, ("duration", total), [(name, f"{n:,}") for name, n in rows])


def positions(questions: Sequence[Question]) -> Section:
    """Where the right answer stands, by number of choices."""
    by_size: dict[int, Counter[int]] = {}
    for question in questions:
        if question.answer is not None:
            by_size.setdefault(len(question.choices), Counter())[question.answer] += 1
    rows = [
        (f"{size} choices, {sum(at.values()):,} questions", " / ".join(f"{at[index]:,}" for index in range(size)))
        for size, at in sorted(by_size.items())
    ]
    if hidden := sum(question.answer is None for question in questions):
        rows.append(("answer hidden", f"{hidden:,}"))
    return Section("Right answer's position, first to last", ("", "n"), rows)


def duplicates(questions: Sequence[Question], digests: Sequence[str]) -> Section:
    """Questions that occur again, and clips whose samples are those of another clip."""
    asked = Counter((question.audio, _plain(question)) for question in questions)
    worded = Counter(_plain(question) for question in questions)
    heard = Counter(digests)
    return counts(
        "Duplicates",
        {
            "questions again, same clip": sum(n - 1 for n in asked.values()),
            "questions again, any clip": sum(n - 1 for n in worded.values()),
            "clips with the samples of another": sum(n - 1 for n in heard.values()),
        },
    )


def _plain(question: Question) -> tuple[str, tuple[str, ...]]:
    return " ".join(question.text.casefold().split()), tuple(sorted(choice.casefold() for choice in question.choices))
