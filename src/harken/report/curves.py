"""Turns metric rows into curves to draw: one panel for each figure, with title, unit and the points of each run.

Every number of a metric row gets a curve. The points are the steps themselves; only where a run has more steps than a
panel holds, a point is the mean of the steps it stands for, with the smallest and the largest of them as a band. The
page's script smooths.
"""

import math
from collections.abc import Sequence
from typing import Any

from harken.report.curve_names import place, section, title_and_unit
from harken.report.run_files import JsonObject

POINTS = 4000
"""Points of one panel at most; its runs have equal parts of them."""
_INTERVALS = {"dev/accuracy": ("dev/low", "dev/high")}
"""Figures that were measured with a 95 % interval, and the figures of its ends."""
_ENDS = {key for ends in _INTERVALS.values() for key in ends}


def panels(runs: Sequence[Sequence[JsonObject]]) -> list[dict[str, Any]]:
    """One panel for each figure that some run has: {key, title, unit, section, constant, series}.

    `constant` is true where no series of the panel changes. A series is {run, x, y, last} with x in steps, and with
    `low` and `high` where it has a band: a 95 % interval (`interval` is true) or the extremes of the steps of a point.

    Args:
        runs: the metric rows of each run.
    """
    keys: dict[str, None] = {}
    for rows in runs:
        for row in rows:
            keys |= dict.fromkeys(key for key, value in row.items() if key != "step" and number(value) is not None)
    points = max(1, POINTS // max(1, len(runs)))
    drawn = []
    for key in sorted(keys.keys() - _ENDS, key=place):
        title, unit = title_and_unit(key)
        series = [curve for run, rows in enumerate(runs) if (curve := _series(run, rows, key, points)) is not None]
        constant = not any(map(_changes, series))
        drawn.append(
            {"key": key, "title": title, "unit": unit, "section": section(key), "constant": constant, "series": series}
        )
    return drawn


def number(value: Any) -> float | None:
    """The value as a float where it is a finite number, else None. True and False are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def rounded(value: float) -> float:
    """Four significant digits, which is what a page can show."""
    return float(f"{value:.4g}")


def _series(run: int, rows: Sequence[JsonObject], key: str, points: int) -> dict[str, Any] | None:
    """The curve of one run, or None where the run does not have the figure."""
    measured = [(step, row) for row in rows if (step := number(row.get("step"))) is not None]
    pairs = [(step, value, row) for step, row in measured if (value := number(row.get(key))) is not None]
    if not pairs:
        return None
    width = math.ceil(len(pairs) / points)
    parts = [pairs[start : start + width] for start in range(0, len(pairs), width)]
    values = [[value for _, value, _ in part] for part in parts]
    series: dict[str, Any] = {
        "run": run,
        "x": [_whole(part[-1][0]) for part in parts],
        "y": [rounded(sum(part) / len(part)) for part in values],
        "last": rounded(pairs[-1][1]),
    }
    if width > 1:
        return series | {
            "low": [rounded(min(part)) for part in values],
            "high": [rounded(max(part)) for part in values],
        }
    if key in _INTERVALS:
        low, high = (
            [rounded(bound) for _, _, row in pairs if (bound := number(row.get(end))) is not None]
            for end in _INTERVALS[key]
        )
        if len(low) == len(high) == len(pairs):
            return series | {"low": low, "high": high, "interval": True}
    return series


def _whole(step: float) -> float:
    """Whole steps without a decimal point, which is a third of the page's bytes."""
    return int(step) if step.is_integer() else step


def _changes(series: dict[str, Any]) -> bool:
    band = [] if "interval" in series else [*series.get("low", ()), *series.get("high", ())]
    return len({*series["y"], *band}) > 1
