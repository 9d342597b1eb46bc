"""Repeats the GRPO run of a demo up to one step, with the functions that `harken train` calls, for `walkthrough.py`.

The repeated step must be that of the run: `differences` compares every completion with the run's own rollout file, and
every figure with its metric row.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from harken.config import load_run_recipe
from harken.grpo.micro_batch import RewardedBatch
from harken.grpo.reference_pass import score_with_reference
from harken.grpo.rewarding import open_rewarder
from harken.grpo.rollout_rows import rollout_rows
from harken.grpo.sample_completions import sample_completions
from harken.grpo.update import update
from harken.grpo.update_figures import UpdateFigures
from harken.inference.log_probabilities import score_packed
from harken.models.audio_lm import AudioLM
from harken.training.open_session import open_session
from harken.training.schedule import learning_rate_at
from harken.training.session import Session

COMPARED = {"reward/mean": 1e-9, "loss/total": 1e-4, "loss/kl": 1e-4, "policy/grad_norm": 1e-3}
"""Metric -> the largest relative difference between the repeated step and the run's; both are float32 sums."""


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """The step that is shown.

    Attributes:
        batch: its completions with their rewards.
        audio: the encoded audio of its prompts.
        logp, logp_after: [R, L] log-probabilities before and after the update.
        rate: the learning rate.
    """

    session: Session
    batch: RewardedBatch
    audio: list[Tensor | None]
    logp: Tensor
    logp_after: Tensor
    figures: UpdateFigures
    rate: float


def repeat(run: Path, step: int, folder: Path) -> Step:
    """Train from the run's start to `step` in `folder`. A step's questions must fit into one micro-batch."""
    recipe = load_run_recipe(run)
    settings = recipe.grpo
    session = open_session(recipe, settings, folder, Console(quiet=True), resume=False)
    policy = session.policy
    with open_rewarder(recipe, folder / "judge") as rewarder:
        for number in range(1, step + 1):
            chosen = session.questions_of(number, settings.prompts_per_step, settings.steps)
            rate = learning_rate_at(
                number - 1, settings.steps, settings.learning_rate, settings.schedule, settings.warmup_share
            )
            [sampled] = sample_completions(
                policy, chosen, session.inputs(chosen), session.prompt, settings, seed=recipe.seed, step=number
            )
            assert sampled.audio is not None
            audio = [None if clip is None else clip.detach() for clip in sampled.audio]
            scored = score_with_reference(policy, session.reference, [sampled], settings)
            [batch] = rewarder.reward(scored, progress=(number - 1) / settings.steps).batches
            before = _scores(policy, batch) if number == step else None
            figures = update(policy, [batch], settings, session.optimizer, rate)
            if before is not None:
                return Step(session, batch, audio, before, _scores(policy, batch), figures, rate)
    raise ValueError(f"there is no step {step}: the first is 1")


@torch.no_grad()
def _scores(policy: AudioLM, batch: RewardedBatch) -> Tensor:
    """[R, L] log-probabilities of the sampled completions under the policy as it is now."""
    audio = policy.encode_audio(batch.sampled.inputs)
    return score_packed(policy, policy.embed(batch.sampled.inputs, audio), batch.sampled.completions).logp


def differences(step: Step, number: int, run: Path) -> list[str]:
    """The differences between the repeated step and the run's, a line each; empty where there are none."""
    with (run / "metrics.jsonl").open(encoding="utf-8") as lines:
        row = next(row for row in map(json.loads, lines) if row["step"] == number)
    repeated = {
        "reward/mean": float(step.batch.rewards.mean()),
        "loss/total": step.figures.loss,
        "loss/kl": step.figures.kl,
        "policy/grad_norm": step.figures.grad_norm,
    }
    texts = [
        f"{name}: {repeated[name]:.6g} here, {row[name]:.6g} in the run"
        for name, share in COMPARED.items()
        if abs(repeated[name] - row[name]) > share * abs(row[name]) + 1e-7
    ]
    with (run / "rollouts" / f"step_{number:06d}.jsonl").open(encoding="utf-8") as lines:
        kept = [json.loads(line) for line in lines]
    own = sorted(rollout_rows([step.batch]), key=lambda completion: completion["id"])
    same = sum(a["id"] == b["id"] and a["completion"] == b["completion"] for a, b in zip(kept, own, strict=True))
    if same < len(own):
        texts.append(f"{len(own) - same} of {len(own)} completions differ")
    return texts
