"""The metric row of one GRPO step.

Takes the step's experience and the figures of its update, gives names and numbers. Names are paths. Every mean says
over what: reward/* over the completions of the step, loss/* and policy/* over the tokens in the loss.
"""

from collections.abc import Sequence
from dataclasses import asdict

import torch

from harken.advantage import equal_group_share
from harken.experience import MicroBatch
from harken.update import UpdateFigures


def step_metrics(
    batches: Sequence[MicroBatch], figures: UpdateFigures, learning_rate: float, *, rollout_s: float, step_s: float
) -> dict[str, float]:
    reward = torch.cat([batch.reward for batch in batches])
    lengths = torch.cat([batch.completions.lengths for batch in batches]).double()
    ended = torch.cat([batch.completions.ended for batch in batches]).double()
    grades = [grade for batch in batches for grade in batch.grades]
    row = {
        "reward/mean": float(reward.mean()),
        "reward/std_in_group": float(reward.std(dim=1).mean()),
        "reward/equal_groups": equal_group_share(reward),
        "answer/unreadable": sum(grade.choice is None for grade in grades) / len(grades),
        "completion/length_mean": float(lengths.mean()),
        "completion/length_max": float(lengths.max()),
        "completion/truncated": 1 - float(ended.mean()),
    }
    for name in batches[0].rewards:
        part = torch.tensor([value for batch in batches for value in batch.rewards[name]], dtype=torch.float64)
        row |= {
            f"reward/{name}": float(part.mean()),
            f"reward/{name}_std": float(part.std()),
            f"reward/{name}_equal_groups": equal_group_share(part.view(reward.shape)),
        }
    update = asdict(figures)
    row |= {"loss/total": update["loss"], "loss/kl": update["kl"]}
    row |= {"policy/entropy": update["entropy"], "policy/grad_norm": update["grad_norm"]}
    row |= {
        name: update[name.removeprefix("policy/")]
        for name in ("policy/clip_low", "policy/clip_high", "policy/ratio_max")
    }
    # Rollout (cache, one token at a time) against training pass (one packed row) on the same weights: a bug shows here.
    row |= {"rollout/logp_gap_mean": update["logp_gap_mean"], "rollout/logp_gap_max": update["logp_gap_max"]}
    row |= {"optim/learning_rate": learning_rate, "time/rollout_s": rollout_s, "time/step_s": step_s}
    if torch.cuda.is_available():
        row["memory/peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    return row


def is_due(step: int, every: int | None, last: int) -> bool:
    """Whether something that happens every so many steps, and always at the last, happens after this one."""
    return step == last or (every is not None and step % every == 0)
