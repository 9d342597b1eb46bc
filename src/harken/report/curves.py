"""Metric rows -> curves to draw: which figures, in which order, under which names, thinned to what a screen shows.

Takes the metric rows of one or more runs, gives panels as plain values. Every number of a row has a curve: what this
file has no name for stands under its own. Not taken: smoothing. A point is the mean of the steps it stands for, with
the smallest and the largest of them.
"""

import math
from collections.abc import Sequence
from typing import Any

from harken.report.run import Row

POINTS = 120
"""Of one curve, at most."""

SECTIONS = ("Rewards and accuracy", "Answers and thinking", "Policy", "Speed and memory", "Everything else")
_NAMES = {
    "reward/mean": "Reward",
    "reward/std_in_group": "Reward, spread within a group",
    "reward/equal_groups": "Groups whose rewards are all equal, share",
    "dev/accuracy": "Accuracy on the development part",
    "answer/unreadable": "Unreadable answers, share",
    "completion/length_mean": "Completion length, tokens",
    "completion/length_max": "Longest completion, tokens",
    "completion/truncated": "Cut at the maximum length, share",
    "loss/kl": "KL from the reference",
    "loss/total": "Loss",
    "loss/sft": "Loss on answers",
    "policy/entropy": "Entropy, nats a token",
    "policy/grad_norm": "Gradient norm",
    "policy/clip_low": "Clipped below, share of tokens",
    "policy/clip_high": "Clipped above, share of tokens",
    "policy/ratio_max": "Largest ratio to the old policy",
    "probe/wer": "Word error rate on the probe",
    "probe/loss": "Token loss on the probe",
    "optim/learning_rate": "Learning rate",
    "time/step_s": "Seconds a step",
    "time/rollout_s": "Seconds of it in the rollout",
    "time/tokens_per_s": "Tokens a second, of completions or answers",
    "memory/peak_gib": "Peak memory, GiB",
    "memory/rss_gib": "Memory of the process, GiB",
}
_ORDER = {name: index for index, name in enumerate(_NAMES)}
_OTHER = {
    "_std": "standard deviation",
    "_zero": "zero, share",
    "_equal_groups": "groups whose values are all equal, share",
}
"""Endings of a reward part's further figures, and what they are."""


def panels(runs: Sequence[Sequence[Row]]) -> list[dict[str, Any]]:
    """One panel for each figure that some run has: {key, title, section, series: [{run, x, y, low, high}]}."""
    keys: dict[str, None] = {}
    for rows in runs:
        for row in rows:
            keys |= dict.fromkeys(key for key, value in row.items() if key != "step" and number(value) is not None)
    found = []
    for key in sorted(keys, key=lambda key: (SECTIONS.index(_section(key)), _ORDER.get(key, len(_ORDER)), key)):
        series = [_series(index, rows, key) for index, rows in enumerate(runs)]
        title = _NAMES.get(key) or _part(key)
        found.append({"key": key, "title": title, "section": _section(key), "series": [one for one in series if one]})
    return found


def _part(key: str) -> str:
    """The title of what has no name here: a reward part's own, or the key."""
    name = key.replace("reward/", "Reward part: ")
    ending = next((one for one in _OTHER if key.startswith("reward/") and key.endswith(one)), None)
    return name if ending is None else f"{name.removesuffix(ending)}, {_OTHER[ending]}"


def number(value: Any) -> float | None:
    """A finite number, else None; True is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _section(key: str) -> str:
    if key == "dev/n" or key.endswith(tuple(_OTHER)):
        return SECTIONS[4]
    if key.startswith(("reward/", "dev/", "probe/")) or key == "loss/sft":
        return SECTIONS[0]
    if key.startswith(("answer/", "completion/")) or "think" in key or "judge" in key:
        return SECTIONS[1]
    if key in ("loss/kl", "loss/total", "policy/entropy", "policy/grad_norm"):
        return SECTIONS[2]
    return SECTIONS[3] if key.startswith(("time/", "memory/")) else SECTIONS[4]


def _series(run: int, rows: Sequence[Row], key: str) -> dict[str, Any] | None:
    points = [(step, value) for row in rows if (step := number(row.get("step"))) is not None
              if (value := number(row.get(key))) is not None]  # fmt: skip
    if not points:
        return None
    width = math.ceil(len(points) / POINTS)
    parts = [points[start : start + width] for start in range(0, len(points), width)]
    values = [[value for _, value in part] for part in parts]
    series: dict[str, Any] = {
        "run": run,
        "x": [part[-1][0] for part in parts],
        "y": [short(sum(part) / len(part)) for part in values],
        "last": short(points[-1][1]),
    }
    if width > 1:
        series |= {"low": [short(min(part)) for part in values], "high": [short(max(part)) for part in values]}
    return series


def short(value: float) -> float:
    """Four digits: what a curve shows."""
    return float(f"{value:.4g}")
