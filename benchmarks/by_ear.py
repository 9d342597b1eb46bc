"""Measures the filter `--by-ear` on questions that people have marked.

    python benchmarks/by_ear.py MARKED.jsonl ... [--show]

Each line of a file is {"text": question, "mark": "by ear" | "not by ear" | "unsure"}. The program prints a Markdown
table with a row a file: how many questions the filter leaves out, which share of them is marked "not by ear" (unsure
counts as wrong), which share of those marked "not by ear" it finds, and which share of those marked "by ear" it leaves
out. Intervals are 95 %. `--show` prints the questions on which filter and mark differ.
"""

import argparse
import json
from pathlib import Path

from harken.prepare.by_ear import unheard
from harken.results.formatting import markdown
from harken.stats import mean_interval

MARKS = ("by ear", "not by ear", "unsure")
HEADER = ("questions", "n", "left out", "of these not by ear, %", "found of those not by ear, %", "lost by ear, %")


def share(hits: list[bool]) -> str:
    """Hits, their number, and the share in percent with its interval."""
    if not hits:
        return "-"
    estimate = mean_interval([float(hit) for hit in hits], range(len(hits)))
    low, high = 100 * estimate.low, 100 * estimate.high
    return f"{100 * estimate.mean:.1f} [{low:.1f}, {high:.1f}] ({sum(hits):,} of {len(hits):,})"


def measure(path: Path, *, show: bool) -> tuple[str, ...]:
    """A row of the table. Raises ValueError for a mark that is none."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if unknown := {row["mark"] for row in rows} - set(MARKS):
        raise ValueError(f"{path}: marks are {', '.join(MARKS)}, found {sorted(unknown)}")
    read = [(row["text"], row["mark"], unheard(row["text"])) for row in rows]
    if show:
        for text, mark, name in read:
            if (name is not None) != (mark == "not by ear"):
                print(f"{mark}, {'kept' if name is None else f'left out ({name})'}: {text}")
    return (
        path.stem,
        f"{len(rows):,}",
        f"{sum(name is not None for *_, name in read):,}",
        share([mark == "not by ear" for _, mark, name in read if name is not None]),
        share([name is not None for _, mark, name in read if mark == "not by ear"]),
        share([name is not None for _, mark, name in read if mark == "by ear"]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("marked", type=Path, nargs="+", help="JSON lines with text and mark")
    parser.add_argument("--show", action="store_true", help="print the questions on which filter and mark differ")
    args = parser.parse_args()
    print(markdown(HEADER, [measure(path, show=args.show) for path in args.marked]))


if __name__ == "__main__":
    main()
