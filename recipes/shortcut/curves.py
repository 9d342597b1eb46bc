"""The curves of recipes/shortcut: python recipes/shortcut/curves.py runs/shortcut runs/shortcut/curves.svg

Over the training steps, the accuracy of the sampled completions on training questions whose code word lies: a line for
each reward, the mean over seeds and windows of 10 steps, and a band from the smallest to the largest seed.
"""

import json
import sys
from pathlib import Path

from table import ARMS, finished

WINDOW, WIDTH, HEIGHT, LEFT, TOP = 10, 360, 180, 44, 16
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.grid { stroke: #d0d7de }
.line { fill: none; stroke-width: 2 }
.band { stroke: none; opacity: .15 }
.plain { stroke: #bc4c00; fill: #bc4c00 }
.listening { stroke: #0969da; fill: #0969da }
.scaled { stroke: #1a7f37; fill: #1a7f37 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .grid { stroke: #30363d }
  .plain { stroke: #ffa657; fill: #ffa657 }
  .listening { stroke: #58a6ff; fill: #58a6ff }
  .scaled { stroke: #3fb950; fill: #3fb950 }
}
"""


def curve(run: Path) -> list[float]:
    """Accuracy of sampled completions on training questions whose word lies, one number for each window of steps."""
    files = sorted((run / "rollouts").glob("step_*.jsonl"))
    rows = [[json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] for file in files]
    lies = [[float(row["correct"]) for row in step if row["difficulty"] == "lie"] for step in rows]
    windows = [
        [value for step in lies[start : start + WINDOW] for value in step] for start in range(0, len(lies), WINDOW)
    ]
    return [sum(window) / len(window) for window in windows if window]


def picture(runs: Path) -> str:
    drawn = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = TOP + HEIGHT * (1 - share)
        drawn.append(f'<line class="grid" x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y}" y2="{y}"/>')
        drawn.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{share:.0%}</text>')
    steps = 0
    for number, (name, title) in enumerate(ARMS.items()):
        seeds = list(zip(*(curve(seed / name) for seed in finished(runs)), strict=True))
        steps = max(steps, len(seeds) * WINDOW)
        xs = [LEFT + WIDTH * (i + 0.5) / len(seeds) for i in range(len(seeds))]
        ys = [[TOP + HEIGHT * (1 - value) for value in values] for values in seeds]
        low, high, mean = (
            [f"{x:.1f},{pick(y):.1f}" for x, y in zip(xs, ys, strict=True)]
            for pick in (max, min, lambda y: sum(y) / len(y))
        )
        drawn.append(f'<polygon class="band {name}" points="{" ".join([*low, *reversed(high)])}"/>')
        drawn.append(f'<polyline class="line {name}" style="fill:none" points="{" ".join(mean)}"/>')
        y = TOP + HEIGHT + 40 + 18 * number
        drawn.append(f'<line class="line {name}" x1="{LEFT}" x2="{LEFT + 28}" y1="{y}" y2="{y}"/>')
        drawn.append(f'<text x="{LEFT + 34}" y="{y + 4}">{title}</text>')
    y = TOP + HEIGHT + 16
    drawn.append(f'<text x="{LEFT}" y="{y}">step 1</text>')
    drawn.append(f'<text x="{LEFT + WIDTH}" y="{y}" text-anchor="end">{steps}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 16} {TOP + HEIGHT + 86}" role="img">'
    title = "<title>Accuracy during training on questions whose code word lies</title>"
    return "\n".join([head, title, f"<style>{STYLE}</style>", *drawn, "</svg>\n"])


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(picture(Path(sys.argv[1])), encoding="utf-8")
