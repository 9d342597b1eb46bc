"""What GRPO's completions earned while recipes/small trained, from the metrics of the runs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from figure_cells import EMPTY, seed_name
from harken.results.formatting import markdown
from harken.system.json_lines import read_json_lines
from small_figures import ROWS

TRAINED = ("audio", "no_audio", "arc")
EDGE = 20
"""Steps at the beginning and at the end of which the table has the means."""
SHARES = {"right": "reward/accuracy", "name no choice": "answer/unreadable"}


def training_table(seeds: Sequence[Path]) -> str:
    """A line for each GRPO row of a seed."""
    header = ["seed", "model"]
    header += [f"{share}, {edge} {EDGE} steps, %" for share in SHARES for edge in ("first", "last")]
    header.append("groups of equal rewards, all steps, %")
    return markdown(header, [[seed_name(seed), ROWS[row], *cells(seed / row)] for seed in seeds for row in TRAINED])


def cells(run: Path) -> Iterator[str]:
    file = run / "metrics.jsonl"
    steps = [dict(step) for step in read_json_lines(file)] if file.is_file() else []
    for metric in SHARES.values():
        yield mean(steps[:EDGE], metric)
        yield mean(steps[-EDGE:], metric)
    yield mean(steps, "reward/equal_groups")


def mean(steps: Sequence[dict[str, Any]], metric: str) -> str:
    """In percent."""
    return f"{100 * sum(step[metric] for step in steps) / len(steps):.1f}" if steps else EMPTY
