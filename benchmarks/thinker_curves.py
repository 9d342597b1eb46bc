"""Draws how often training answers without thinking, by difficulty, for each reward of the realaqa_thinker recipes.

    python benchmarks/thinker_curves.py runs/realaqa-thinker docs/images/realaqa_thinker.svg

The program reads the metric rows of every seed*/REWARD in the folder and draws one panel for each reward. A line is the
mean over the seeds of the no-think rate among the step's sampled completions of a valid form, averaged over 10 steps;
the band goes from the smallest to the largest seed.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

REWARDS = {"atar": "ATAR", "no_balance": "ATAR without balance", "accuracy": "accuracy alone"}
DASHES = {"easy": "", "medium": "7 3", "hard": "2 3"}
WINDOW, WIDTH, HEIGHT, GAP, TOP, LEFT = 10, 220, 150, 24, 34, 40
COLUMNS = 4
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.small { font-size: 10px }
.grid { stroke: #d0d7de }
.line { fill: none; stroke-width: 2 }
.band { stroke: none; opacity: .15 }
.easy { stroke: #0969da; fill: #0969da }
.medium { stroke: #8250df; fill: #8250df }
.hard { stroke: #bc4c00; fill: #bc4c00 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .grid { stroke: #30363d }
  .easy { stroke: #58a6ff; fill: #58a6ff }
  .medium { stroke: #bc8cff; fill: #bc8cff }
  .hard { stroke: #ffa657; fill: #ffa657 }
}
"""


def rates(file: Path, difficulty: str) -> list[float]:
    """The no-think rate, one number for each window of steps."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    windows = [rows[start : start + WINDOW] for start in range(0, len(rows), WINDOW)]
    key = f"think/no_think_{difficulty}"
    values = [[row[key] for row in window if key in row] for window in windows]
    return [sum(window) / len(window) for window in values if window]


Panel = tuple[str, Sequence[Path], Mapping[str, str]]
"""Title, run folders (one for each seed), and difficulty -> the style of its line: easy, medium or hard."""


def panel(drawn_panel: Panel, left: float, top: float) -> list[str]:
    title, runs, styles = drawn_panel
    drawn = [f'<text x="{left}" y="{top - 12}">{title}</text>']
    for share in (0, 0.5, 1):
        y = top + HEIGHT * (1 - share)
        drawn.append(f'<line class="grid" x1="{left}" x2="{left + WIDTH}" y1="{y}" y2="{y}"/>')
    steps = 0
    for difficulty, style in styles.items():
        seeds = list(zip(*(rates(run / "metrics.jsonl", difficulty) for run in runs), strict=False))
        steps = len(seeds) * WINDOW
        xs = [left + WIDTH * (i + 0.5) / len(seeds) for i in range(len(seeds))]

        def at(x: float, share: float) -> str:
            return f"{x:.1f},{top + HEIGHT * (1 - share):.1f}"

        low = [at(x, min(values)) for x, values in zip(xs, seeds, strict=True)]
        high = [at(x, max(values)) for x, values in zip(xs, seeds, strict=True)]
        mean = [at(x, sum(values) / len(values)) for x, values in zip(xs, seeds, strict=True)]
        drawn.append(f'<polygon class="band {style}" points="{" ".join([*low, *reversed(high)])}"/>')
        drawn.append(f'<polyline class="line {style}" style="fill:none"{dash(style)} points="{" ".join(mean)}"/>')
    drawn.append(f'<text class="small" x="{left}" y="{top + HEIGHT + 14}">step 1</text>')
    drawn.append(f'<text class="small" x="{left + WIDTH}" y="{top + HEIGHT + 14}" text-anchor="end">{steps}</text>')
    return drawn


def dash(style: str) -> str:
    return f' stroke-dasharray="{DASHES[style]}"' if DASHES[style] else ""


def curves(panels: Sequence[Panel]) -> str:
    """The whole picture, `COLUMNS` panels in a row."""
    drawn: list[str] = []
    row_height = TOP + HEIGHT + 24
    for index, each in enumerate(panels):
        top = TOP + row_height * (index // COLUMNS)
        drawn += panel(each, LEFT + index % COLUMNS * (WIDTH + GAP), top)
        if index % COLUMNS == 0:
            drawn += [
                f'<text class="small" x="{LEFT - 6}" y="{top + HEIGHT * (1 - s) + 4}" text-anchor="end">{s:.0%}</text>'
                for s in (0, 0.5, 1)
            ]
    bottom = row_height * -(-len(panels) // COLUMNS) + 12
    for index, (style, names) in enumerate(legend(panels).items()):
        x = LEFT + index * 190
        drawn.append(f'<line class="line {style}" x1="{x}" x2="{x + 28}" y1="{bottom}" y2="{bottom}"{dash(style)}/>')
        drawn.append(f'<text x="{x + 34}" y="{bottom + 4}">{", ".join(names)}</text>')
    size = (LEFT + min(len(panels), COLUMNS) * (WIDTH + GAP), bottom + 14)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" role="img">'
    title = "<title>Share of answers without thinking during training, by difficulty</title>"
    return "\n".join([head, title, f"<style>{STYLE}</style>", *drawn, "</svg>\n"])


def legend(panels: Sequence[Panel]) -> dict[str, list[str]]:
    """Style -> the difficulties that are drawn in it."""
    names: dict[str, list[str]] = {}
    for _, _, styles in panels:
        for difficulty, style in styles.items():
            if difficulty not in names.setdefault(style, []):
                names[style].append(difficulty)
    return {style: names[style] for style in DASHES if style in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    runs = {name: sorted(arguments.runs.glob(f"seed*/{name}")) for name in REWARDS}
    styles = {style: style for style in DASHES}
    text = curves([(REWARDS[name], seeds, styles) for name, seeds in runs.items() if seeds])
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
