"""The final figures of the realaqa_thinker recipes, as Markdown for docs/results.md.

    python benchmarks/thinker_table.py runs/realaqa-thinker

The program reads the folders that recipes/realaqa_thinker.sh wrote, one for each seed. Rates are over outputs of a
valid form, accuracies over all questions. `forced` is the same model with every answer beginning with <answer>, so that
it cannot think.
"""

import argparse
from pathlib import Path

from digits_figures import gain, right, rows_of, valid_form, without_thinking
from figure_cells import mean_pct, pts, seed_name
from harken.results.formatting import markdown

REWARDS = {
    "sft": "SFT start",
    "atar": "ATAR",
    "accuracy": "accuracy alone",
    "no_balance": "ATAR without balance",
    "control": "SFT, as many steps",
    "contradicting": "contradicting start",
    "unjudged": "ATAR from it",
    "judged": "ATAR, judged, from it",
}
DIFFICULTIES = ("easy", "medium", "hard")
HEADER = [
    *("seed", "reward", "no-think, %: easy", "medium", "hard", "right, %: all", "easy", "medium", "hard"),
    *("forced no-think: hard", "hard, free over forced", "valid form, %", "against accuracy alone"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    print(table(parser.parse_args().runs))


def table(runs: Path) -> str:
    """A line for each model that has been evaluated."""
    return markdown(
        HEADER,
        [
            row(seed, name, title)
            for seed in sorted(runs.glob("seed*"))
            for name, title in REWARDS.items()
            if rows_of(seed / name / "eval" / "test")
        ],
    )


def row(seed: Path, name: str, title: str) -> list[str]:
    free, forced = (rows_of(seed / name / "eval" / kind) for kind in ("test", "test-no-think"))
    accuracy_alone = rows_of(seed / "accuracy" / "eval" / "test")
    return [
        *(seed_name(seed), title),
        *(mean_pct(without_thinking(free, difficulty)) for difficulty in DIFFICULTIES),
        *(mean_pct(right(free, difficulty)) for difficulty in ("", *DIFFICULTIES)),
        *(mean_pct(right(forced, "hard")), pts(gain(forced, free, "hard")), mean_pct(valid_form(free))),
        pts(gain(accuracy_alone, free)) if name in ("atar", "no_balance", "control") else "",
    ]


if __name__ == "__main__":
    main()
