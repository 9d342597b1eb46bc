"""The metric row of one GRPO step.

Takes the step's experience and the figures of its update, gives names and numbers. Names are paths. Every mean says
over what: reward/* over the completions of the step, think/* over those of a valid form, loss/* and policy/* over the
tokens in the loss. A mean over nothing (the accuracy of thinking where nothing thinks) is left out of the row.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict

import psutil
import torch

from harken.advantage import equal_group_share
from harken.experience import MicroBatch
from harken.rewarding import StepEarned
from harken.types import Response
from harken.update import UpdateFigures


def step_metrics(
    batches: Sequence[MicroBatch],
    earned: StepEarned,
    figures: UpdateFigures,
    learning_rate: float,
    *,
    rollout_s: float,
    step_s: float,
) -> dict[str, float]:
    reward = torch.cat([batch.reward for batch in batches])
    lengths = torch.cat([batch.completions.lengths for batch in batches]).double()
    ended = torch.cat([batch.completions.ended for batch in batches]).double()
    said = [response for batch in batches for response in batch.responses]
    row = {
        "reward/mean": float(reward.mean()),
        "reward/std_in_group": float(reward.std(dim=1).mean()),
        "reward/equal_groups": equal_group_share(reward),
        "answer/unreadable": _mean(response.grade.choice is None for response in said),
        "completion/length_mean": float(lengths.mean()),
        "completion/length_max": float(lengths.max()),
        "completion/truncated": 1 - float(ended.mean()),
    }
    for name in batches[0].rewards:
        part = torch.tensor([value for batch in batches for value in batch.rewards[name]], dtype=torch.float64)
        row |= {
            f"reward/{name}": float(part.mean()),
            f"reward/{name}_std": float(part.std()),
            f"reward/{name}_zero": float((part == 0).double().mean()),
            f"reward/{name}_equal_groups": equal_group_share(part.view(reward.shape)),
        }
    if earned.tags_asked:
        row |= thinking(said) | earned.figures
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
    return row | cost(float(lengths.sum()), step_s)


def cost(tokens: float, step_s: float) -> dict[str, float]:
    """What a step took: seconds, tokens of completions or answers a second, and memory, GiB: the most that CUDA held
    so far, or what the process holds on a machine without it."""
    row = {"time/step_s": step_s, "time/tokens_per_s": tokens / step_s}
    if torch.cuda.is_available():
        return row | {"memory/peak_gib": torch.cuda.max_memory_allocated() / 2**30}
    return row | {"memory/rss_gib": psutil.Process().memory_info().rss / 2**30}


def thinking(said: Sequence[Response]) -> dict[str, float]:
    """How often and how well completions think.

    think/rate and the no-think rates are over valid forms, think/malformed over all completions. Reasoning length is in
    words.
    """
    valid = [response for response in said if response.form != "malformed"]
    think = [response for response in valid if response.form == "think"]
    answered = [response for response in valid if response.form == "no_think"]
    row = {"think/malformed": (len(said) - len(valid)) / len(said)}
    if valid:
        row["think/rate"] = len(think) / len(valid)
    row |= _by("think/no_think_", valid, lambda response: response.question.difficulty)
    row |= _by("think/no_think_", valid, lambda response: response.question.task)
    if think:
        row["think/accuracy_think"] = _mean(response.grade.correct for response in think)
        row["think/reasoning_words"] = _mean(len(response.reasoning.split()) for response in think)
    if answered:
        row["think/accuracy_no_think"] = _mean(response.grade.correct for response in answered)
    return row


def _by(prefix: str, said: Sequence[Response], name: Callable[[Response], str]) -> dict[str, float]:
    """No-think rate of each named group."""
    names = sorted({name(response) for response in said} - {""})
    return {f"{prefix}{group}": _mean(one.form == "no_think" for one in said if name(one) == group) for group in names}


def _mean(values: Iterable[float]) -> float:
    kept = list(values)
    return sum(kept) / len(kept)


def is_due(step: int, every: int | None, last: int) -> bool:
    """Whether something that happens every so many steps, and always at the last, happens after this one."""
    return step == last or (every is not None and step % every == 0)
