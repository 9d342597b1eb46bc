"""Tables of comparisons: before and after training, over several seeds, with and without the clip.

Each kind of table has its header, its rows as text (for Markdown) and a table for the terminal.
"""

from collections.abc import Sequence

from rich.table import Table

from harken.results.compare import Comparison, FourWay
from harken.results.formatting import p_value, percent, points, terminal_table
from harken.results.seeds import SeedComparison

COMPARISON_HEADER = ("questions", "n", "before, %", "after, %", "gain, points", "p")
SEEDS_HEADER = ("questions", "n", "before, %", "after, %", "gain, points", "bound")
FOUR_WAY_HEADER = (*COMPARISON_HEADER, "before, no audio, %", "after, no audio, %", "chance, %")


def comparison_rows(comparisons: Sequence[Comparison]) -> list[tuple[str, ...]]:
    return [
        (
            group.group,
            str(group.gain.n),
            percent(group.before),
            percent(group.after),
            points(group.gain),
            p_value(group.p),
        )
        for group in comparisons
    ]


def comparison_table(title: str, comparisons: Sequence[Comparison]) -> Table:
    """Accuracy before and after, with the paired gain."""
    caption = (
        "Intervals are 95 %, clustered by clip. The gain is paired by question. p comes from McNemar's exact test, "
        "which takes the questions as independent."
    )
    return terminal_table(title, COMPARISON_HEADER, comparison_rows(comparisons), caption)


def seed_rows(groups: Sequence[SeedComparison]) -> list[tuple[str, ...]]:
    """Mean over seeds with the smallest and the largest seed: `73.2 (71-75)`; gains in points."""
    return [
        (
            group.group,
            str(group.n),
            *(f"{100 * s.mean:.1f} ({100 * s.low:.0f}-{100 * s.high:.0f})" for s in (group.before, group.after)),
            f"{100 * group.gain.mean:+.1f} (sd {100 * group.gain.sd:.1f})",
            f"{100 * group.lowest_bound:+.1f}",
        )
        for group in groups
    ]


def seeds_table(title: str, groups: Sequence[SeedComparison]) -> Table:
    """Accuracy before and after over several seeds of one recipe."""
    caption = (
        f"Mean of {groups[0].seeds} seeds, with the smallest and the largest in brackets. bound: the smallest lower "
        "95 % bound of a seed's paired gain."
    )
    return terminal_table(title, SEEDS_HEADER, seed_rows(groups), caption)


def four_way_rows(groups: Sequence[FourWay]) -> list[tuple[str, ...]]:
    comparisons = comparison_rows([group.comparison for group in groups])
    return [(*cells, *_without_audio(group)) for cells, group in zip(comparisons, groups, strict=True)]


def four_way_tables(title: str, groups: Sequence[FourWay]) -> tuple[Table, Table]:
    """Accuracy before and after, once with the clip and once without it. Each table fits 80 columns."""
    header = ("without the clip", "n", "before, %", "after, %", "chance, %")
    rows = [(group.comparison.group, str(group.before_without_audio.n), *_without_audio(group)) for group in groups]
    return (
        comparison_table(title, [group.comparison for group in groups]),
        terminal_table(None, header, rows, "A model that listens stays at chance here."),
    )


def _without_audio(group: FourWay) -> tuple[str, str, str]:
    return percent(group.before_without_audio), percent(group.after_without_audio), f"{100 * group.chance:.0f}"
