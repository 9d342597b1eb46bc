"""The table and the curves of recipes/shortcut: python recipes/shortcut/table.py runs/shortcut runs/shortcut/curves.svg

Prints a Markdown table for docs/results.md: accuracy with the clip where the code word lies and where it is right, and
the audio gain (with the clip minus without it, paired by question), each with its 95 % interval clustered by clip. The
picture shows, over the training steps, the accuracy of the sampled completions on training questions whose word lies: a
line for each reward, the mean over seeds and windows of 10 steps, and a band from the smallest to the largest seed.
"""

import json
import sys
from pathlib import Path

from harken.results.compare import compare_folders
from harken.results.formatting import markdown, percent, points
from harken.stats import Estimate

RUNS = {
    "sounds": "SFT on the sounds",
    "start": "then SFT on the text: the start",
    "plain": "GRPO, accuracy alone",
    "listening": "GRPO with the listening reward",
}
WINDOW, WIDTH, HEIGHT, LEFT, TOP = 10, 360, 180, 44, 16
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.grid { stroke: #d0d7de }
.line { fill: none; stroke-width: 2 }
.band { stroke: none; opacity: .15 }
.plain { stroke: #bc4c00; fill: #bc4c00 }
.listening { stroke: #0969da; fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .grid { stroke: #30363d }
  .plain { stroke: #ffa657; fill: #ffa657 }
  .listening { stroke: #58a6ff; fill: #58a6ff }
}
"""


def accuracy(folder: Path) -> str:
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return percent(Estimate(**summary["accuracy"]["all"]))


def audio_gain(eval_folder: Path, test: str) -> str:
    whole = compare_folders(eval_folder / f"{test}-none", eval_folder / f"{test}-real")[0]
    return points(whole.gain)


def table(runs: Path) -> str:
    header = ["seed", "model", "word lies, %", "word is right, %"]
    header += ["audio gain, word lies", "audio gain, word is right"]
    rows = []
    for seed in sorted(runs.glob("seed*")):
        for name, title in RUNS.items():
            folder = seed / name / "eval"
            if (folder / "right-none" / "summary.json").exists():
                cells = [accuracy(folder / f"{test}-real") for test in ("lie", "right")]
                cells += [audio_gain(folder, test) for test in ("lie", "right")]
                rows.append([seed.name.removeprefix("seed"), title, *cells])
    return markdown(header, rows)


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
    for number, (name, title) in enumerate(list(RUNS.items())[2:]):
        seeds = list(
            zip(
                *(curve(run) for run in sorted(runs.glob(f"seed*/{name}"))),
                strict=False,
            )
        )
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
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 16} {TOP + HEIGHT + 68}" role="img">'
    title = "<title>Accuracy during training on questions whose code word lies</title>"
    return "\n".join([head, title, f"<style>{STYLE}</style>", *drawn, "</svg>\n"])


if __name__ == "__main__":
    sys.stdout.write(table(Path(sys.argv[1])) + "\n")
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text(picture(Path(sys.argv[1])), encoding="utf-8")
