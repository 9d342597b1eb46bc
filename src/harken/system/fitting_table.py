"""A table for a terminal of any width: where its columns do not fit, each row is written below its label.

rich cuts what does not fit, row labels first. Here no label is lost and no figure is cut, down to 40 columns.
"""

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

LEAST_LABEL, LEAST_TEXT = 12, 20
"""Columns that a label and any other text which folds need to be read; a shorter one needs its length."""


class FittingTable(Table):
    """A rich table. Columns with `no_wrap` hold figures or names that are never cut; the others may fold."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for column in self.columns:
            column.overflow = "fold"  # a word that is longer than its column goes on in the next line
        if self._needed(console) <= options.max_width:
            yield from super().__rich_console__(console, options)
        else:
            yield from self._stacked(console)

    def _needed(self, console: Console) -> int:
        """Columns of the terminal below which a label or a figure would be cut."""
        borders = 0 if self.box is None else len(self.columns) - 1 + 2 * self.show_edge
        least = [LEAST_LABEL, *[LEAST_TEXT] * (len(self.columns) - 1)]
        cells = (_least(column, console, text) for column, text in zip(self.columns, least, strict=True))
        return borders + sum(cells) + len(self.columns) * (self.padding[1] + self.padding[3])

    def _stacked(self, console: Console) -> Iterator[RenderableType]:
        """The title, each row as its label with a line for each cell, and the caption."""
        if self.title:
            yield _styled(_text(self.title, console), "italic")
        names = [str(_text(column.header, console)) for column in self.columns]
        width = max(map(cell_len, names[1:]), default=0)
        for row in zip(*(column.cells for column in self.columns), strict=True):
            label, *cells = (cell if isinstance(cell, Text) else _text(cell, console) for cell in row)
            yield Text("")
            yield _styled(label, "bold")
            for name, cell in zip(names[1:], cells, strict=True):
                if len(cell):
                    head = f"{name}{' ' * (width - cell_len(name))}" if self.show_header and width else ""
                    yield _line(head, cell)
        if self.caption:
            yield Text("")
            yield _styled(_text(self.caption, console), "dim")


def _line(head: str, cell: Text) -> RenderableType:
    return Padding(Text.assemble(f"{head}  " if head else "", cell, overflow="fold"), (0, 0, 0, 2))


def _styled(text: Text, style: str) -> Text:
    styled = text.copy()
    styled.stylize(style)
    styled.overflow, styled.no_wrap = "fold", False
    return styled


def _least(column: Column, console: Console, least_text: int) -> int:
    """Columns of the terminal that a column of the table needs."""
    texts = [_text(column.header, console), *(_text(cell, console) for cell in column.cells)]
    longest = max((cell_len(line) for text in texts for line in str(text).split("\n")), default=0)
    return longest if column.no_wrap else min(longest, least_text)


def _text(cell: RenderableType, console: Console) -> Text:
    return cell if isinstance(cell, Text) else console.render_str(str(cell), highlight=False)
