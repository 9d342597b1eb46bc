"""Turns metric rows into curves to draw: one panel for each figure, with a title, thinned to what a screen can show.

Every number of a metric row gets a curve; a figure that has no title here is shown under its own name. Curves are not
smoothed: a point is the mean of the steps it stands for, with the smallest and the largest of them as a band.
"""

import math
from collections.abc import Sequence
from typing import Any

from harken.report.run_files import JsonObject

POINTS = 120
"""Points of one curve at most."""

SECTIONS = ("Rewards and accuracy", "Answers and thinking", "Policy", "Speed and memory", "Everything else")
_TITLES = {
    "reward/mean": "Reward",
    "reward/std_in_group": "Reward: standard deviation within a group",
    "reward/equal_groups": "Share of groups with equal rewards",
    "dev/accuracy": "Accuracy on the development questions",
    "answer/unreadable": "Share of unreadable answers",
    "completion/length_mean": "Mean completion length, tokens",
    "completion/length_max": "Longest completion, tokens",
    "completion/truncated": "Share cut at the maximum length",
    "think/rate": "Share of valid completions that think",
    "think/malformed": "Share of malformed completions",
    "think/accuracy_think": "Accuracy of completions that think",
    "think/accuracy_no_think": "Accuracy of completions without thinking",
    "think/reasoning_words": "Words of reasoning",
    "think/lambda": "Adaptive reward: mean λ",
    "think/factor_think": "Adaptive reward: factor for thinking",
    "think/factor_no_think": "Adaptive reward: factor without thinking",
    "judge/consistency": "Judge's score of consistency",
    "judge/quality": "Judge's score of quality",
    "judge/asked": "Calls of the judge",
    "judge/failed": "Failed calls of the judge",
    "judge/failed_share": "Share of failed calls of the judge",
    "loss/kl": "KL divergence from the reference",
    "loss/total": "Loss",
    "loss/sft": "Loss on the answers",
    "policy/entropy": "Entropy, nats per token",
    "policy/grad_norm": "Gradient norm",
    "policy/clip_low": "Share of tokens clipped below",
    "policy/clip_high": "Share of tokens clipped above",
    "policy/ratio_max": "Largest ratio to the old policy",
    "probe/wer": "Word error rate on the probe",
    "probe/loss": "Loss per token on the probe",
    "optim/learning_rate": "Learning rate",
    "time/step_s": "Seconds per step",
    "time/rollout_s": "Seconds per step in the rollout",
    "time/tokens_per_s": "Tokens per second",
    "time/judge_wait_s": "Seconds per step waiting for the judge",
    "time/judge_latency_s": "Seconds per reply of the judge",
    "memory/peak_gib": "Peak memory, GiB",
    "memory/rss_gib": "Memory of the process, GiB",
    "rollout/logp_gap_mean": "Mean gap of log-probabilities, rollout to training",
    "rollout/logp_gap_max": "Largest gap of log-probabilities, rollout to training",
    "rollout/importance_mean": "Mean importance weight",
    "rollout/importance_cut": "Share of importance weights at the cap",
}
_ORDER = {key: index for index, key in enumerate(_TITLES)}
_DETAILS = {
    "_std": "standard deviation",
    "_zero": "share of zeros",
    "_equal_groups": "share of groups with equal values",
}
"""What a reward part's further figures are, by the ending of their keys."""


def panels(runs: Sequence[Sequence[JsonObject]]) -> list[dict[str, Any]]:
    """One panel for each figure that some run has: {key, title, section, series: [{run, x, y, last, low, high}]}.

    Args:
        runs: the metric rows of each run.
    """
    keys: dict[str, None] = {}
    for rows in runs:
        for row in rows:
            keys |= dict.fromkeys(key for key, value in row.items() if key != "step" and number(value) is not None)
    ordered = sorted(keys, key=lambda key: (SECTIONS.index(_section(key)), _ORDER.get(key, len(_ORDER)), key))
    return [
        {
            "key": key,
            "title": _TITLES.get(key) or _title(key),
            "section": _section(key),
            "series": [series for run, rows in enumerate(runs) if (series := _series(run, rows, key)) is not None],
        }
        for key in ordered
    ]


def number(value: Any) -> float | None:
    """The value as a float where it is a finite number, else None. True and False are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def rounded(value: float) -> float:
    """Four significant digits, which is what a page can show."""
    return float(f"{value:.4g}")


def _title(key: str) -> str:
    """The title of a figure that has none in `_TITLES`: the name of a reward part or of a group, or the key itself."""
    if key.startswith("think/no_think_"):
        return f"Share of valid completions without thinking: {key.removeprefix('think/no_think_')}"
    if not key.startswith("reward/"):
        return key
    name = key.replace("reward/", "Reward part: ")
    ending = next((ending for ending in _DETAILS if key.endswith(ending)), None)
    return name if ending is None else f"{name.removesuffix(ending)}, {_DETAILS[ending]}"


def _section(key: str) -> str:
    if key == "dev/n" or key.endswith(tuple(_DETAILS)):
        return SECTIONS[4]
    if key.startswith(("time/", "memory/")):
        return SECTIONS[3]
    if key.startswith(("reward/", "dev/", "probe/")) or key == "loss/sft":
        return SECTIONS[0]
    if key.startswith(("answer/", "completion/")) or "think" in key or "judge" in key:
        return SECTIONS[1]
    return SECTIONS[2] if key in ("loss/kl", "loss/total", "policy/entropy", "policy/grad_norm") else SECTIONS[4]


def _series(run: int, rows: Sequence[JsonObject], key: str) -> dict[str, Any] | None:
    """The curve of one run, or None where the run does not have the figure."""
    pairs = [(number(row.get("step")), number(row.get(key))) for row in rows]
    points = [(step, value) for step, value in pairs if step is not None and value is not None]
    if not points:
        return None
    width = math.ceil(len(points) / POINTS)
    parts = [points[start : start + width] for start in range(0, len(points), width)]
    values = [[value for _, value in part] for part in parts]
    series: dict[str, Any] = {
        "run": run,
        "x": [part[-1][0] for part in parts],
        "y": [rounded(sum(part) / len(part)) for part in values],
        "last": rounded(points[-1][1]),
    }
    if width > 1:
        series |= {"low": [rounded(min(part)) for part in values], "high": [rounded(max(part)) for part in values]}
    return series
