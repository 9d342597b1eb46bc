"""The rows on spoken digits in the table of README.md, which digits_table.py writes."""

from pathlib import Path

from digits_figures import gain, right, rows_of, seeds_of
from figure_cells import EMPTY, mean_pct, pts

BEGIN, END = "<!-- made by benchmarks/digits_table.py -->", "<!-- end of the digits -->"
ANSWERS = {"warm": "warm start", "answers_grpo": "GRPO", "answers_sft": "SFT, as many steps"}
FIRST_PAGE = "spoken digits"
"""How the rows of README begin that this program writes."""


def first_page(runs: Path, page: str) -> str:
    """README's table with its rows on spoken digits made anew; its other rows stay as they are."""
    table = page.partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    kept = [line for line in table if not line.startswith(f"| {FIRST_PAGE}")]
    return "\n".join([*kept, *(first_page_row(runs, name, title) for name, title in ANSWERS.items() if name != "warm")])


def first_page_row(runs: Path, name: str, title: str) -> str:
    """One line for all seeds that have run."""
    cells: list[list[str]] = [[], [], [], []]
    for seed in seeds_of(runs):
        before = rows_of(seed / "warm" / "eval" / "answers-test/real")
        after, none = (rows_of(seed / name / "eval" / "answers-test" / mode) for mode in ("real", "none"))
        if before and after:
            means = [mean_pct(right(rows)) for rows in (before, after, none)]
            for cell, figure in zip(cells, [*means[:2], pts(gain(before, after)), means[2]], strict=True):
                cell.append(figure)
    return f"| {FIRST_PAGE}, {title} | " + " | ".join(", ".join(cell) or EMPTY for cell in cells) + " |"
