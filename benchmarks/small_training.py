"""Tables about the completions that GRPO sampled while recipes/small trained, from the metrics of the runs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from figure_cells import EMPTY, seed_name
from harken.results.formatting import markdown
from harken.system.json_lines import read_json_lines
from small_figures import ROWS

TRAINED = ("audio", "no_audio", "arc")
EDGE = 20
"""How many steps the means of the first and of the last steps are over."""
SHARES = {"right": "reward/accuracy", "name no choice": "answer/unreadable"}
"""Title of a share of the completions -> its metric."""
THINKING = {"thinker_accuracy": "accuracy reward", "thinker_atar": "ATAR", "thinker_judged": "ATAR with a judge"}
"""The rows of adaptive thinking that GRPO trains -> their titles."""
EARLY = 6
"""The step whose share of thinking stands beside that of the first one."""


def training_table(seeds: Sequence[Path]) -> str:
    """A line for each GRPO row of a seed."""
    header = ["seed", "model"]
    header += [f"{share}, {edge} {EDGE} steps, %" for share in SHARES for edge in ("first", "last")]
    header.append("groups of equal rewards, all steps, %")
    return markdown(header, [[seed_name(seed), ROWS[row], *cells(seed / row)] for seed in seeds for row in TRAINED])


def cells(run: Path) -> Iterator[str]:
    steps = steps_of(run)
    for metric in SHARES.values():
        yield mean(steps[:EDGE], metric)
        yield mean(steps[-EDGE:], metric)
    yield mean(steps, "reward/equal_groups")


def sampled_thinking_table(seeds: Sequence[Path]) -> str:
    """How many of the sampled completions think, as training goes on: a line for each run with the adaptive prompt."""
    header = ["seed", "model", "first step, %", f"step {EARLY}, %", f"last {EDGE} steps, %"]
    lines = []
    for seed in seeds:
        for row, title in THINKING.items():
            steps = steps_of(seed / row)
            parts = (steps[:1], steps[EARLY - 1 : EARLY], steps[-EDGE:])
            lines.append([seed_name(seed), title, *(mean(part, "think/rate") for part in parts)])
    return markdown(header, lines)


def steps_of(run: Path) -> list[dict[str, Any]]:
    """The metrics of each step of a run; [] where it has not run."""
    file = run / "metrics.jsonl"
    return [dict(step) for step in read_json_lines(file)] if file.is_file() else []


def mean(steps: Sequence[dict[str, Any]], metric: str) -> str:
    """The mean of a metric over these steps, in percent."""
    return f"{100 * sum(step[metric] for step in steps) / len(steps):.1f}" if steps else EMPTY
