"""One question of a demo run through every stage, with its numbers, as a page: docs/walkthrough.md.

    harken demo
    python benchmarks/walkthrough.py runs/demo --step 50 --out docs/walkthrough.md

Takes the folder of a demo, repeats its GRPO run from the same start up to the step, with the functions that `harken
train` calls, and writes down what passes through them for one question. What it repeats must be what the run did: every
completion of the step is compared with the run's own rollout file, every figure with its metric row. Not taken:
numbers written down while the run goes, which would put tracing into the training loop.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import torch
from rich.console import Console
from torch import Tensor

from harken.config import load_run_recipe
from harken.data.audio import load_waveform
from harken.grpo.micro_batch import RewardedBatch
from harken.grpo.reference_pass import score_with_reference
from harken.grpo.rewarding import open_rewarder
from harken.grpo.rollout_rows import rollout_rows
from harken.grpo.sample_completions import sample_completions
from harken.grpo.update import UpdateFigures, update
from harken.inference.log_probabilities import score_packed
from harken.models.audio_lm import AudioLM
from harken.results.evaluation_rows import read_evaluation_rows
from harken.system.files import write_text
from harken.training.open_session import open_session
from harken.training.schedule import learning_rate_at
from harken.training.session import Session

COMPARED = {"reward/mean": 1e-9, "loss/total": 1e-4, "loss/kl": 1e-4, "policy/grad_norm": 1e-3}
"""Metric -> how far the repeated step may be from the run's, relative; both are float32 sums."""


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """The step that is shown: its completions, the encoded audio of its prompts, log-probabilities before and after the
    update, the update's figures and its learning rate."""

    session: Session
    batch: RewardedBatch
    audio: list[Tensor | None]
    logp: Tensor
    logp_after: Tensor
    figures: UpdateFigures
    rate: float


def repeat(run: Path, step: int, folder: Path) -> Step:
    """Train from the run's start to `step` in `folder`. The step's questions must fit into one micro-batch."""
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
    raise ValueError(f"step {step}: the first is 1")


@torch.no_grad()
def _scores(policy: AudioLM, batch: RewardedBatch) -> Tensor:
    """[R, L] log-probabilities of what was sampled, by the policy as it is now."""
    audio = policy.encode_audio(batch.sampled.inputs)
    return score_packed(policy, policy.embed(batch.sampled.inputs, audio), batch.sampled.completions).logp


def differences(step: Step, number: int, run: Path) -> list[str]:
    """Where the repeated step is not the run's; empty where it is."""
    with (run / "metrics.jsonl").open(encoding="utf-8") as lines:
        row = next(row for row in map(json.loads, lines) if row["step"] == number)
    found = {
        "reward/mean": float(step.batch.rewards.mean()),
        "loss/total": step.figures.loss,
        "loss/kl": step.figures.kl,
        "policy/grad_norm": step.figures.grad_norm,
    }
    said = [
        f"{name}: {found[name]:.6g} here, {row[name]:.6g} in the run"
        for name, share in COMPARED.items()
        if abs(found[name] - row[name]) > share * abs(row[name]) + 1e-7
    ]
    with (run / "rollouts" / f"step_{number:06d}.jsonl").open(encoding="utf-8") as lines:
        kept = [json.loads(line) for line in lines]
    own = sorted(rollout_rows([step.batch]), key=lambda one: one["id"])
    same = sum(a["id"] == b["id"] and a["completion"] == b["completion"] for a, b in zip(kept, own, strict=True))
    return said + ([] if same == len(own) else [f"{len(own) - same} of {len(own)} completions differ"])


def telling(batch: RewardedBatch) -> int:
    """Number of the prompt with the most different answers among those with right and wrong ones and a clip."""
    group = batch.rewards.shape[1]

    def worth(p: int) -> tuple[bool, int]:
        said = batch.sampled.responses[p * group : (p + 1) * group]
        mixed = 0 < sum(one.grade.correct for one in said) < group and batch.questions[p].audio is not None
        return mixed, len({one.text for one in said})

    return max(range(len(batch.questions)), key=worth)


def facts(step: Step, number: int, run: Path) -> dict[str, Any]:
    """What the page says, as values. `run` is the demo's grpo folder."""
    batch, p = step.batch, telling(step.batch)
    settings = step.session.recipe.grpo
    group = settings.completions_per_prompt
    rows = range(p * group, (p + 1) * group)
    reward, prompt = batch.rewards[p].double(), batch.sampled.inputs[p].length
    lengths = batch.sampled.completions.lengths[rows.start : rows.stop].tolist()
    own = [float(_terms(step, r)[1].mean()) for r in rows]
    step_loss = sum(float(_terms(step, r)[1].mean()) for r in range(len(batch.sampled.responses))) / len(
        batch.sampled.responses
    )
    assert abs(step_loss - step.figures.loss) < 1e-5, f"{step_loss} by hand, {step.figures.loss} by the loop"
    norm, limit = step.figures.grad_norm, settings.max_grad_norm
    clipped = f"the limit is {limit:g}, so it is scaled by {limit / norm:.3f}"
    return {
        **{"step": number, "seed": step.session.recipe.seed, "torch": torch.__version__.split("+")[0]},
        "parameters": f"{sum(one.numel() for one in step.session.policy.module.parameters()) / 1e6:.1f}",
        **{"question": batch.questions[p], "prompts": len(batch.questions), "group": group, "beta": settings.beta},
        "clip": _clip(step, p),
        "prompt": {
            "text": batch.sampled.inputs[p].text.strip(),
            "tokens": prompt,
            "audio_tokens": len(_audio(step, p)),
        },
        **{"temperature": settings.temperature, "mean": float(reward.mean()), "std": float(reward.std())},
        "completions": [_completion(batch, r) for r in rows],
        "equal_groups": int((batch.rewards == batch.rewards[:, :1]).all(1).sum()),
        **{"packed": prompt + sum(lengths) - group, "repeated": group * prompt + sum(lengths)},
        "tokens": _tokens(step, rows),
        **{"group_loss": sum(own) / group, "step_loss": step_loss, "norm": norm, "rate": step.rate},
        "clipped": clipped if norm > limit else f"the limit is {limit:g}, so nothing is clipped",
        "moved": _moved(step, rows),
        **{"accuracy": _accuracy(run), "changed": _changed(run)},
    }


def page(values: dict[str, Any]) -> str:
    """The values in the page's text, walkthrough.md.j2."""
    text = Path(__file__).with_suffix(".md.j2").read_text(encoding="utf-8")
    return jinja2.Template(text, undefined=jinja2.StrictUndefined, keep_trailing_newline=True).render(values)


def _audio(step: Step, p: int) -> Tensor:
    """[audio tokens, H]."""
    audio = step.audio[p]
    assert audio is not None
    return audio


def _clip(step: Step, p: int) -> list[dict[str, Any]]:
    batch = step.batch
    question, features, audio = batch.questions[p], batch.sampled.inputs[p].features, _audio(step, p)
    assert question.audio is not None
    assert features is not None
    wave = torch.tensor(load_waveform(question.audio))
    stages = {
        f"waveform, {len(wave) / 16000:.2f} s": (f"{len(wave)} samples", wave),
        "mel spectrogram": (f"{features.shape[0]} bins x {features.shape[1]} frames of 10 ms", features),
        "audio features": (f"{audio.shape[0]} x {audio.shape[1]}, one for four frames", audio),
    }
    return [
        {"stage": stage, "size": size, "low": float(values.min()), "high": float(values.max())}
        for stage, (size, values) in stages.items()
    ]


def _completion(batch: RewardedBatch, r: int) -> dict[str, Any]:
    said = batch.sampled.responses[r]
    return {
        **{"text": _shown(said.text), "tokens": said.tokens, "logp": float(batch.sampled.completions.logp[r].sum())},
        "choice": "nothing" if said.grade.choice is None else said.question.choices[said.grade.choice],
        **{"reason": said.grade.reason, "reward": float(batch.rewards.flatten()[r])},
        "advantage": float(batch.advantages[r]),
    }


def _tokens(step: Step, rows: range) -> list[dict[str, Any]]:
    """The first right and the first wrong completion, token by token."""
    batch, found = step.batch, []
    assert batch.reference_logp is not None
    for which, correct in (("right", True), ("wrong", False)):
        r = next(r for r in rows if batch.sampled.responses[r].grade.correct == correct)
        kl, loss = _terms(step, r)
        for t in range(len(kl)):
            text = step.session.policy.decode([int(batch.sampled.completions.tokens[r, t])])
            found.append(
                {
                    **{"which": which, "text": _shown(text) if text else "end of sequence"},
                    **{"logp": float(step.logp[r, t]), "reference": float(batch.reference_logp[r, t])},
                    **{"kl": float(kl[t]), "loss": float(loss[t])},
                }
            )
    return found


def _terms(step: Step, r: int) -> tuple[Tensor, Tensor]:
    """(KL, loss) of each token of row r, worked out from the equations and not by `grpo_loss`."""
    n = int(step.batch.sampled.completions.lengths[r])
    assert step.batch.reference_logp is not None
    gap = step.batch.reference_logp[r, :n].double() - step.logp[r, :n].double()
    kl = gap.exp() - gap - 1
    return kl, -float(step.batch.advantages[r]) + step.session.recipe.grpo.beta * kl


def _moved(step: Step, rows: range) -> list[dict[str, Any]]:
    """Each different completion: its probability before and after the update, %."""
    found = {}
    for r in rows:
        n = int(step.batch.sampled.completions.lengths[r])
        before, after = (100 * float(logp[r, :n].double().sum().exp()) for logp in (step.logp, step.logp_after))
        text = _shown(step.batch.sampled.responses[r].text)
        found[text] = {"text": text, "advantage": float(step.batch.advantages[r]), "before": before, "after": after}
    return list(found.values())


def _accuracy(run: Path) -> list[dict[str, Any]]:
    rows = []
    for name, said in (("test", "with the clip"), ("test-no-audio", "without it")):
        summaries = [
            json.loads((run.parent / stage / "eval" / name / "summary.json").read_text(encoding="utf-8"))
            for stage in ("sft", "grpo")
        ]
        before, after = (_percent(summary["accuracy"]["all"]) for summary in summaries)
        rows.append({"said": said, "n": summaries[0]["n"], "before": before, "after": after})
    return rows


def _percent(share: dict[str, float]) -> str:
    return f"{100 * share['mean']:.1f} [{100 * share['low']:.0f}, {100 * share['high']:.0f}]"


def _changed(run: Path) -> dict[str, Any] | None:
    """The first test question that became right."""
    before, after = (read_evaluation_rows(run.parent / stage / "eval" / "test") for stage in ("sft", "grpo"))
    for old, new in zip(before, after, strict=True):
        if new["correct"] and not old["correct"]:
            said = {"before": _shown(old["completion"]), "after": _shown(new["completion"])}
            return {"id": new["id"], "question": new["question"], "choices": new["choices"], **said}
    return None


def _shown(text: str) -> str:
    """In one line of a table, what does not print spelled out."""
    plain = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return plain.replace("|", "\\|").replace("`", "'") or "(empty)"


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("demo", type=Path)
    parser.add_argument("--step", type=int, default=50)
    parser.add_argument("--out", type=Path, required=True)
    said = parser.parse_args(words)
    run = said.demo / "grpo"
    with tempfile.TemporaryDirectory() as folder:
        step = repeat(run, said.step, Path(folder) / "repeated")
    wrong = differences(step, said.step, run)
    if wrong:
        print(f"{run} is not what this program repeats, so no page is written:", *wrong, sep="\n  ", file=sys.stderr)
        return 1
    head = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()
    write_text(said.out, page({**facts(step, said.step, run), "commit": commit}))
    print(f"page: {said.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
