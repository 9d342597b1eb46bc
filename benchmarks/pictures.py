"""Draws the pictures of README and docs.

    python benchmarks/pictures.py flow docs/images/flow.svg
    python benchmarks/pictures.py report runs/demo/grpo docs/images

`flow` draws the stages of training. `report` builds the report of a run and takes pictures of its tables of accuracy,
light and dark; it needs the extra `browser` and an installed Chromium.
"""

import itertools
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harken.report.build import write_report
from harken.system.files import write_text

STAGES = (
    ("question", "clip, text, choices"),
    ("prompt", "one wording for all"),
    ("rollout", "clip encoded once, G answers"),
    ("grade", "each answer as a choice"),
    ("reward", "parts and their weights"),
    ("advantage", "against its own group"),
    ("loss", "one packed row a prompt"),
    ("update", "then the next rollout"),
    ("evaluation", "same prompt, same grader"),
    ("report", "from the run folder alone"),
)
"""Two stand in a row, and every other row goes from right to left, so that a page of 380 px can still be read."""
COLUMNS, WIDTH, HEIGHT, GAP, EDGE = 2, 190, 60, 24, 4
STYLE = """
  rect { fill: #eef5f5; stroke: #0d5f6e; } .name { fill: #0d5f6e; font: 600 17px sans-serif; }
  .what { fill: #3d4449; font: 13.5px sans-serif; } path { stroke: #5a6066; fill: none; } marker path { fill: #5a6066; }
  @media (prefers-color-scheme: dark) {
    rect { fill: #1b2a2d; stroke: #7ccad6; } .name { fill: #7ccad6; }
    .what { fill: #d5d8da; } path { stroke: #a3aab1; } marker path { fill: #a3aab1; }
  }"""


def flow() -> str:
    """The SVG of the stages, which follows the reader's colour scheme."""
    rows = len(STAGES) // COLUMNS
    width = COLUMNS * WIDTH + (COLUMNS - 1) * GAP + 2 * EDGE
    height = rows * HEIGHT + (rows - 1) * GAP + 2 * EDGE
    places = [place(number) for number in range(len(STAGES))]
    boxes = [
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="7" stroke-width="1.5"/>'
        f'<text class="name" x="{x + WIDTH / 2:g}" y="{y + 25}" text-anchor="middle">{name}</text>'
        f'<text class="what" x="{x + WIDTH / 2:g}" y="{y + 46}" text-anchor="middle">{what}</text>'
        for (name, what), (x, y) in zip(STAGES, places, strict=True)
    ]
    arrows = [arrow(start, end) for start, end in itertools.pairwise(places)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{", ".join(name for name, _ in STAGES)}">\n<style>{STYLE}\n</style>\n'
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z"/></marker>\n' + "\n".join([*boxes, *arrows]) + "\n</svg>\n"
    )


def place(number: int) -> tuple[int, int]:
    """The upper left corner of a stage's box."""
    row, column = divmod(number, COLUMNS)
    column = COLUMNS - 1 - column if row % 2 else column
    return EDGE + column * (WIDTH + GAP), EDGE + row * (HEIGHT + GAP)


def arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    (x, y), (to_x, to_y) = start, end
    if y == to_y:
        side = x + WIDTH if to_x > x else x
        line = f"M{side} {y + HEIGHT / 2:g}H{to_x if to_x > x else to_x + WIDTH}"
    else:
        line = f"M{x + WIDTH / 2:g} {y + HEIGHT}V{to_y}"
    return f'<path d="{line}" stroke-width="1.5" marker-end="url(#tip)"/>'


def photograph(run: Path, folder: Path) -> None:
    """Write FOLDER/report-light.png and FOLDER/report-dark.png."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        page_file = Path(temporary) / "report.html"
        write_report([run], page_file)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1440, "height": 820}, color_scheme=scheme)
            page.goto(page_file.as_uri())
            page.wait_for_timeout(1500)
            page.screenshot(path=str(folder / f"report-{scheme}.png"))
        browser.close()


def main(words: Sequence[str]) -> None:
    match words:
        case ["flow", out]:
            write_text(Path(out), flow())
        case ["report", run, folder]:
            photograph(Path(run), Path(folder))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
