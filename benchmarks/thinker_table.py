"""The final figures of the realaqa_thinker recipes, as Markdown for docs/results.md.

    python benchmarks/thinker_table.py runs/realaqa-thinker

The program reads the folders that recipes/realaqa_thinker.sh wrote, one for each seed. Rates are over outputs of a
valid form, accuracies over all questions. `forced` is the same model with every answer beginning with <answer>, so that
it cannot think.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from harken.results.compare import compare_folders

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
HEADER = (
    "| seed | reward | no-think, %: easy | medium | hard | right, %: all | easy | medium | hard "
    "| forced no-think: hard | hard, free over forced | valid form, % | against accuracy alone |"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    arguments = parser.parse_args()
    print(HEADER)
    print("|---:|---|" + "---:|" * (HEADER.count("|") - 3))
    for seed in sorted(arguments.runs.glob("seed*")):
        for name, title in REWARDS.items():
            if (seed / name / "eval" / "test" / "summary.json").exists():
                print(row(seed, name, title))


def row(seed: Path, name: str, title: str) -> str:
    free, forced = (summary(seed / name / "eval" / kind) for kind in ("test", "test-no-think"))
    rates = [share(free["no_think"], difficulty) for difficulty in ("easy", "medium", "hard")]
    right = [share(free["accuracy"], difficulty) for difficulty in ("all", "easy", "medium", "hard")]
    valid = 1 - free["forms"].get("malformed", 0) / free["n"]
    gain = paired(seed / name / "eval" / "test-no-think", seed / name / "eval" / "test", "hard")
    against = (
        ""
        if name not in ("atar", "no_balance")
        else paired(*(seed / r / "eval" / "test" for r in ("accuracy", name)), "all")
    )
    cells = [seed.name.removeprefix("seed"), title, *rates, *right, share(forced["accuracy"], "hard"), gain]
    return "| " + " | ".join([*cells, f"{valid:.1%}".rstrip("%"), against]) + " |"


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def share(groups: dict[str, Any], name: str) -> str:
    return f"{100 * groups[name]['mean']:.1f}" if name in groups else "-"


def paired(before: Path, after: Path, group: str) -> str:
    """Paired gain of a group, points, with its 95 % interval."""
    for line in compare_folders(before, after):
        if line.group == group:
            gain = line.gain
            return f"{100 * gain.mean:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
    return "-"


if __name__ == "__main__":
    main()
