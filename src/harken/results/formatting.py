"""How a figure is written, and how a table is laid out on a terminal and in Markdown.

Every table of harken writes an estimate in the same way: mean and 95 % interval in percent, `73.2 [70, 76]`.
"""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.text import Text

from harken.stats import Estimate
from harken.system.fitting_table import FittingTable


def percent(estimate: Estimate) -> str:
    """`73.2 [70, 76]`."""
    return f"{100 * estimate.mean:.1f} {interval(estimate.low, estimate.high)}"


def interval(low: float, high: float) -> str:
    """`[70, 76]` in whole percent; with one decimal where both ends would read the same."""
    digits = 0 if f"{100 * low:.0f}" != f"{100 * high:.0f}" else 1
    return f"[{100 * low:.{digits}f}, {100 * high:.{digits}f}]"


def points(gain: Estimate) -> str:
    """A difference of accuracies in percentage points: `+3.1 [+0.4, +5.8]`."""
    return f"{100 * gain.mean:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"


def p_value(p: float) -> str:
    """Three decimals; `<.001` below that."""
    return f"{p:.3f}" if p >= 0.001 else "<.001"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table. The first column is aligned left and the others right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def terminal_table(
    title: str | None, header: Sequence[str], rows: Sequence[Sequence[str]], caption: str, gap: int = 1
) -> FittingTable:
    """A table for rich to print. Names fold where the terminal is narrow; figures are never cut or folded.

    Args:
        gap: blank columns after each cell.
    """
    table = FittingTable(
        title=None if title is None else Text(title),
        caption=caption,
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, gap, 0, 0),
    )
    for position, name in enumerate(header):
        table.add_column(
            Text(name), justify="left" if position == 0 else "right", no_wrap=position > 0, overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text, because a task name from a data file may look like markup
    return table
