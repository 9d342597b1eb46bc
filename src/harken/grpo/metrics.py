"""The metric row of one GRPO step.

Takes what the step's completions said and earned, on all ranks, and the figures of its update, gives names and numbers.
Names are paths. Every mean says
over what: reward/* over the completions of the step, think/* over those of a valid form, loss/* and policy/* over the
tokens in the loss. A mean over nothing (the accuracy of thinking where nothing thinks) is left out of the row.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from harken.grpo.advantage import equal_group_share
from harken.grpo.rewarding import StepEarned
from harken.grpo.update import UpdateFigures
from harken.training.step_cost import step_cost

Row = Mapping[str, Any]
"""One completion, as `harken.grpo.batch.rollout_rows` writes it down."""


def step_metrics(
    rows: Sequence[Row],
    completions_per_prompt: int,
    earned: StepEarned,
    figures: UpdateFigures,
    learning_rate: float,
    *,
    rollout_s: float,
    step_s: float,
) -> dict[str, float]:
    """`rows` are in whole groups."""
    reward = _column(row["reward"] for row in rows).view(-1, completions_per_prompt)
    lengths = _column(row["tokens"] for row in rows)
    ended = _column(row["ended"] for row in rows)
    row = {
        "reward/mean": float(reward.mean()),
        "reward/std_in_group": float(reward.std(dim=1).mean()),
        "reward/equal_groups": equal_group_share(reward),
        "answer/unreadable": _mean(row["choice"] is None for row in rows),
        "completion/length_mean": float(lengths.mean()),
        "completion/length_max": float(lengths.max()),
        "completion/truncated": 1 - float(ended.mean()),
    }
    for name in rows[0]["rewards"]:
        part = _column(row["rewards"][name] for row in rows)
        row |= {
            f"reward/{name}": float(part.mean()),
            f"reward/{name}_std": float(part.std()),
            f"reward/{name}_zero": float((part == 0).double().mean()),
            f"reward/{name}_equal_groups": equal_group_share(part.view(reward.shape)),
        }
    if earned.tags_asked:
        row |= thinking(rows) | earned.figures
    update = asdict(figures)
    row |= {"loss/total": update["loss"], "loss/kl": update["kl"]}
    row |= {"policy/entropy": update["entropy"], "policy/grad_norm": update["grad_norm"]}
    row |= {
        name: update[name.removeprefix("policy/")]
        for name in ("policy/clip_low", "policy/clip_high", "policy/ratio_max")
    }
    # Rollout (cache, one token at a time) against training pass (one packed row) on the same weights: a bug shows here.
    row |= {"rollout/logp_gap_mean": update["logp_gap_mean"], "rollout/logp_gap_max": update["logp_gap_max"]}
    row |= {"optim/learning_rate": learning_rate, "time/rollout_s": rollout_s}
    return row | step_cost(float(lengths.sum()), step_s)


def thinking(rows: Sequence[Row]) -> dict[str, float]:
    """How often and how well completions think.

    think/rate and the no-think rates are over valid forms, think/malformed over all completions. Reasoning length is in
    words.
    """
    valid = [row for row in rows if row["form"] != "malformed"]
    think = [row for row in valid if row["form"] == "think"]
    answered = [row for row in valid if row["form"] == "no_think"]
    row = {"think/malformed": (len(rows) - len(valid)) / len(rows)}
    if valid:
        row["think/rate"] = len(think) / len(valid)
    row |= _by("think/no_think_", valid, "difficulty")
    row |= _by("think/no_think_", valid, "task")
    if think:
        row["think/accuracy_think"] = _mean(row["correct"] for row in think)
        row["think/reasoning_words"] = _mean(len(row["reasoning"].split()) for row in think)
    if answered:
        row["think/accuracy_no_think"] = _mean(row["correct"] for row in answered)
    return row


def _by(prefix: str, rows: Sequence[Row], key: str) -> dict[str, float]:
    """No-think rate of each named group."""
    names = sorted({row[key] for row in rows} - {""})
    return {
        f"{prefix}{group}": _mean(row["form"] == "no_think" for row in rows if row[key] == group) for group in names
    }


def _column(values: Iterable[float]) -> Tensor:
    return torch.tensor(list(values), dtype=torch.float64)


def _mean(values: Iterable[float]) -> float:
    kept = list(values)
    return sum(kept) / len(kept)
