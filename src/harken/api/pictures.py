"""Plots as SVG: accuracies with their intervals, and curves of a run. A notebook shows them, and a file holds them.

They need no library. docs/api.md shows how to plot the same figures with one.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from harken.api.results import percent
from harken.stats import Estimate
from harken.system.files import write_text

COLOURS = ("#2563a8", "#b4540a", "#3d7a35", "#8a3a8f", "#5b5b5b")
"""Colours of the series, in order. They also differ in lightness, so that a print without colour tells them apart."""
_WIDTH, _LEFT, _RIGHT, _LINE = 720, 190, 90, 22


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot. A notebook shows it; `save` writes a file that any browser opens."""

    svg: str

    def save(self, file: str | os.PathLike[str]) -> Path:
        """Write the SVG file and return its path."""
        write_text(Path(file), self.svg)
        return Path(file)

    def _repr_svg_(self) -> str:
        return self.svg


def plot_accuracy(
    series: Mapping[str, Mapping[str, Estimate]], *, title: str = "", chance: float | None = None
) -> Picture:
    """Accuracies as points with their 95 % intervals, one line for each label and series.

    Args:
        series: name of a series ("before") -> label ("real", "none") -> accuracy. `Listening.accuracy`,
            `Evaluation.by_group` and `Tasks.accuracy` are such mappings of labels.
        chance: a dashed line at the accuracy of guessing.
    """
    labels = list(dict.fromkeys(label for figures in series.values() for label in figures))
    top, step = 58, _LINE * max(1, len(series)) + 10
    height = top + step * len(labels) + 44
    parts = [_text(16, 26, title, size=15, weight=600), *_legend(list(series))]
    bottom = top + step * len(labels)
    for tick in range(0, 101, 20):
        parts.append(_rule(_x(tick / 100), top - 6, bottom, "#d9d9d9"))
        parts.append(_text(_x(tick / 100), bottom + 16, str(tick), anchor="middle"))
    if chance is not None:
        parts.append(_rule(_x(chance), top - 6, bottom, "#5b5b5b", dashed=True))
        parts.append(_text(_x(chance), top - 10, "chance", anchor="middle", size=11))
    for row, label in enumerate(labels):
        middle = top + step * row + step / 2
        parts.append(_text(_LEFT - 12, middle + 4, label, anchor="end"))
        for number, (name, figures) in enumerate(series.items()):
            if label in figures:
                y = middle + (number - (len(series) - 1) / 2) * _LINE
                parts += _point(figures[label], y, COLOURS[number % len(COLOURS)], f"{name}, {label}")
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, bottom + 36, "accuracy, %, with 95 % intervals", anchor="middle"))
    return _picture(height, title, parts)


def plot_curve(series: Mapping[str, Sequence[tuple[float, float]]], *, title: str = "", unit: str = "") -> Picture:
    """Curves over the steps of training.

    Args:
        series: name -> (step, value) pairs, for example of `Run.metric_rows`.
        unit: what the vertical axis counts.
    """
    points = [point for values in series.values() for point in values]
    top, bottom = 52, 292
    parts = [_text(16, 26, title, size=15, weight=600), *_legend(list(series), fewest=1)]
    if not points:
        return _picture(bottom + 48, title, [*parts, _text(_LEFT, top + 20, "no values")])
    last = max(step for step, _ in points) or 1
    low, high = min(value for _, value in points), max(value for _, value in points)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)

    def place(step: float, value: float) -> tuple[float, float]:
        return _x(step / last), bottom - (value - low) / (high - low) * (bottom - top)

    for value in _round_numbers(low, high):
        _, y = place(0, value)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d9d9d9"/>')
        parts.append(_text(_LEFT - 12, y + 4, f"{value:.6g}", anchor="end"))
    for step in _round_numbers(0, last):
        parts.append(_text(_x(step / last), bottom + 18, f"{step:.6g}", anchor="middle"))
    for number, (name, values) in enumerate(series.items()):
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in values))
        colour = COLOURS[number % len(COLOURS)]
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="1.8" points="{line}">'
            f"<title>{escape(name)}</title></polyline>"
        )
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, bottom + 38, f"step{unit and f'; vertical: {unit}'}", "middle"))
    return _picture(bottom + 50, title, parts)


def _round_numbers(low: float, high: float) -> list[float]:
    """Three to eight multiples of 1, 2 or 5 times a power of ten, from `low` to `high`."""
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _x(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _point(figure: Estimate, y: float, colour: str, name: str) -> list[str]:
    low, high = max(0.0, figure.low), min(1.0, figure.high)
    return [
        f"<g><title>{escape(name)}: {percent(figure)} of {figure.n}</title>"
        f'<line x1="{_x(low):.1f}" x2="{_x(high):.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" '
        f'stroke-width="2.5"/><circle cx="{_x(figure.mean):.1f}" cy="{y:.1f}" r="5" '
        f'fill="{colour}"/></g>',
        _text(_WIDTH - _RIGHT + 12, y + 4, f"{100 * figure.mean:.1f} %"),
    ]


def _legend(names: Sequence[str], fewest: int = 2) -> list[str]:
    if len(names) < fewest:
        return []
    parts, x = [], float(_WIDTH - 16)
    for number in reversed(range(len(names))):
        x -= 7.2 * len(names[number]) + 12
        colour = COLOURS[number % len(COLOURS)]
        parts += [f'<circle cx="{x - 6:.1f}" cy="22" r="5" fill="{colour}"/>', _text(x + 4, 26, names[number])]
        x -= 22
    return parts


def _rule(x: float, top: float, bottom: float, colour: str, *, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke="{colour}"{dash}/>'


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 13, weight: int = 400) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="#222">{escape(text)}</text>'
    )


def _picture(height: float, title: str, parts: Sequence[str]) -> Picture:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}" '
        f'height="{height:.0f}" role="img" font-family="system-ui, sans-serif"><title>{escape(title)}</title>'
        f'<rect width="{_WIDTH}" height="{height:.0f}" fill="#fff"/>'
    )
    return Picture(head + "".join(parts) + "</svg>\n")
