"""Cells of the tables of digits_table.py, small_table.py and thinker_table.py.

A cell whose figure is not there yet says so.
"""

from collections.abc import Sequence
from pathlib import Path

from digits_figures import gain, right
from harken.results.evaluation_rows import Row
from harken.results.formatting import percent, points
from harken.rewards.adaptive import PenaltyFactors, no_think_threshold
from harken.stats import Estimate

EMPTY = "not run yet"
HELPS = [
    *("right without thinking, p", "with it, q", "thinking helps by", "threshold (1 + q) / 3"),
    "the rule says",
]
"""Headings of `forced_cells`."""


def seed_name(seed: Path) -> str:
    return seed.name.removeprefix("seed")


def pct(estimate: Estimate | None) -> str:
    return EMPTY if estimate is None else percent(estimate)


def pts(estimate: Estimate | None) -> str:
    return EMPTY if estimate is None else points(estimate)


def mean_pct(estimate: Estimate | None) -> str:
    """The mean alone."""
    return EMPTY if estimate is None else f"{100 * estimate.mean:.1f}"


def forced_cells(no_think: Sequence[Row], think: Sequence[Row], difficulty: str) -> list[str]:
    """[p, q, their paired difference, the threshold, what the rule says], from the answers of each form alone."""
    p, q = right(no_think, difficulty), right(think, difficulty)
    return [pct(p), pct(q), pts(gain(no_think, think, difficulty)), *rule(p, q)]


def rule(p: Estimate | None, q: Estimate | None) -> list[str]:
    """[the threshold in percent, which mode earns more at the end of the schedule]."""
    if p is None or q is None:
        return [EMPTY] * 2
    threshold = no_think_threshold(q.mean, PenaltyFactors(1, 1))
    return [f"{100 * threshold:.1f}", "drop" if p.mean > threshold else "keep"]


def clear_of_zero(gains: Sequence[Estimate | None]) -> str:
    """In how many seeds a difference is above zero, below it, or neither, by its interval."""
    known = [each for each in gains if each is not None]
    if not known:
        return EMPTY
    above, below = sum(each.low > 0 for each in known), sum(each.high < 0 for each in known)
    counts = {"above zero": above, "below": below, "neither": len(known) - above - below}
    parts = [f"{name} in {count}" for name, count in counts.items() if count]
    return f"{', '.join(parts)} of {len(known)} seed{'s' * (len(known) > 1)}"
