"""The metric row of one GRPO step, computed from the step's rollout rows (of all ranks) and its update.

Metric names are paths. Means in `reward/` and `completion/` are over the completions of the step, in `think/` over
those of a valid form, in `listening/` over those about a clip, in `loss/` and `policy/` over the tokens in the loss. A
mean over nothing (the accuracy of thinking where no completion thinks) is left out of the row.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from harken.grpo.advantage import equal_group_share
from harken.grpo.rewarding import StepRewards
from harken.grpo.rollout_rows import RolloutRow
from harken.grpo.update_figures import UpdateFigures
from harken.training.step_cost import step_cost


def step_metrics(
    rows: Sequence[RolloutRow],
    completions_per_prompt: int,
    rewards: StepRewards,
    update: UpdateFigures,
    learning_rate: float,
    *,
    rollout_s: float,
    step_s: float,
) -> dict[str, float]:
    """The metric row. `rows` must be in whole groups."""
    metrics = _reward_metrics(rows, completions_per_prompt) | _completion_metrics(rows)
    metrics |= _part_metrics(rows, completions_per_prompt)
    if rewards.asks_for_tags:
        metrics |= thinking_metrics(rows)
    metrics |= rewards.figures
    metrics |= _update_metrics(update)
    metrics |= {"optim/learning_rate": learning_rate, "time/rollout_s": rollout_s}
    return metrics | step_cost(sum(row["tokens"] for row in rows), step_s)


def thinking_metrics(rows: Sequence[RolloutRow]) -> dict[str, float]:
    """How often and how well completions think.

    think/rate and the no-think rates are over valid forms, think/malformed is over all completions. The length of the
    reasoning is in words.
    """
    valid = [row for row in rows if row["form"] != "malformed"]
    think = [row for row in valid if row["form"] == "think"]
    no_think = [row for row in valid if row["form"] == "no_think"]
    metrics = {"think/malformed": (len(rows) - len(valid)) / len(rows)}
    if valid:
        metrics["think/rate"] = len(think) / len(valid)
    metrics |= _no_think_rates(valid, "difficulty") | _no_think_rates(valid, "task")
    if think:
        metrics["think/accuracy_think"] = _mean(row["correct"] for row in think)
        metrics["think/reasoning_words"] = _mean(len(row["reasoning"].split()) for row in think)
    if no_think:
        metrics["think/accuracy_no_think"] = _mean(row["correct"] for row in no_think)
    return metrics


def _reward_metrics(rows: Sequence[RolloutRow], group: int) -> dict[str, float]:
    rewards = _column(row["reward"] for row in rows).view(-1, group)
    return {
        "reward/mean": float(rewards.mean()),
        "reward/std_in_group": float(rewards.std(dim=1).mean()),
        "reward/equal_groups": equal_group_share(rewards),
    }


def _completion_metrics(rows: Sequence[RolloutRow]) -> dict[str, float]:
    lengths = _column(row["tokens"] for row in rows)
    return {
        "answer/unreadable": _mean(row["choice"] is None for row in rows),
        "completion/length_mean": float(lengths.mean()),
        "completion/length_max": float(lengths.max()),
        "completion/truncated": 1 - float(_column(row["ended"] for row in rows).mean()),
    }


def _part_metrics(rows: Sequence[RolloutRow], group: int) -> dict[str, float]:
    """Each part of the reward, without its weight."""
    metrics = {}
    for name in rows[0]["rewards"]:
        part = _column(row["rewards"][name] for row in rows)
        metrics |= {
            f"reward/{name}": float(part.mean()),
            f"reward/{name}_std": float(part.std()),
            f"reward/{name}_zero": float((part == 0).double().mean()),
            f"reward/{name}_equal_groups": equal_group_share(part.view(-1, group)),
        }
    return metrics


def _update_metrics(update: UpdateFigures) -> dict[str, float]:
    metrics = {
        "loss/total": update.loss,
        "loss/kl": update.kl,
        "policy/entropy": update.entropy,
        "policy/grad_norm": update.grad_norm,
        "policy/clip_low": update.clip_low,
        "policy/clip_high": update.clip_high,
        "policy/ratio_max": update.ratio_max,
        # The rollout (with a cache, one token at a time, or in an engine) against the training pass (one packed row) on
        # the same weights: a bug in either, or an engine with old weights, shows here.
        "rollout/logp_gap_mean": update.logp_gap_mean,
        "rollout/logp_gap_max": update.logp_gap_max,
    }
    if update.importance is not None and update.importance_cut is not None:
        metrics |= {"rollout/importance_mean": update.importance, "rollout/importance_cut": update.importance_cut}
    return metrics


def _no_think_rates(rows: Sequence[RolloutRow], key: str) -> dict[str, float]:
    """The no-think rate of each group that has a name."""
    names = sorted({row[key] for row in rows} - {""})
    return {
        f"think/no_think_{name}": _mean(row["form"] == "no_think" for row in rows if row[key] == name) for name in names
    }


def _column(values: Iterable[float]) -> Tensor:
    return torch.tensor(list(values), dtype=torch.float64)


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known)
