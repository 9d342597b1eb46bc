"""Writes docs/walkthrough.md: one question of a demo run through every stage, with its numbers.

    harken demo
    python benchmarks/walkthrough.py runs/demo --step 50 --out docs/walkthrough.md

`walkthrough_run.py` repeats the demo's GRPO run up to the step, and `walkthrough.md.j2` has the sentences of the page.
The page is written only if the repeated step is that of the run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import torch
from torch import Tensor

from harken.data.audio import load_waveform
from harken.grpo.micro_batch import RewardedBatch
from harken.results.evaluation_rows import read_evaluation_rows
from harken.system.files import write_text
from walkthrough_run import Step, differences, repeat


def most_telling(batch: RewardedBatch) -> int:
    """The index of the prompt with the most different answers, among those with a clip and right and wrong answers."""
    group = batch.rewards.shape[1]

    def value(p: int) -> tuple[bool, int]:
        responses = batch.sampled.responses[p * group : (p + 1) * group]
        is_mixed = 0 < sum(response.grade.correct for response in responses) < group
        return is_mixed and batch.questions[p].audio is not None, len({response.text for response in responses})

    return max(range(len(batch.questions)), key=value)


def facts(step: Step, number: int, run: Path) -> dict[str, Any]:
    """The values on the page. `run` is the demo's grpo folder."""
    batch, p = step.batch, most_telling(step.batch)
    settings = step.session.recipe.grpo
    group = settings.completions_per_prompt
    rows = range(p * group, (p + 1) * group)
    reward, prompt = batch.rewards[p].double(), batch.sampled.inputs[p]
    lengths = batch.sampled.completions.lengths[rows.start : rows.stop].tolist()
    return {
        "step": number,
        "seed": step.session.recipe.seed,
        "torch": torch.__version__.split("+")[0],
        "parameters": f"{sum(p.numel() for p in step.session.policy.module.parameters()) / 1e6:.1f}",
        "question": batch.questions[p],
        "prompts": len(batch.questions),
        "group": group,
        "beta": settings.beta,
        "clip": _clip(step, p),
        "prompt": {"text": prompt.text.strip(), "tokens": prompt.length, "audio_tokens": len(_audio(step, p))},
        "temperature": settings.temperature,
        "mean": float(reward.mean()),
        "std": float(reward.std()),
        "completions": [_completion(batch, r) for r in rows],
        "equal_groups": int((batch.rewards == batch.rewards[:, :1]).all(1).sum()),
        "packed": prompt.length + sum(lengths) - group,
        "repeated": group * prompt.length + sum(lengths),
        "tokens": _tokens(step, rows),
        **_losses(step, rows),
        **_update(step),
        "moved": _moved(step, rows),
        "accuracy": _accuracy(run),
        "changed": _changed(run),
    }


def page(values: dict[str, Any]) -> str:
    """The page with these values."""
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


def _losses(step: Step, rows: range) -> dict[str, float]:
    """The loss of the question and of the step, worked out by hand; the latter must be that of the loop."""
    means = [float(_terms(step, r)[1].mean()) for r in range(len(step.batch.sampled.responses))]
    step_loss = sum(means) / len(means)
    assert abs(step_loss - step.figures.loss) < 1e-5, f"{step_loss} by hand, {step.figures.loss} by the loop"
    return {"group_loss": sum(means[r] for r in rows) / len(rows), "step_loss": step_loss}


def _update(step: Step) -> dict[str, Any]:
    norm, limit = step.figures.grad_norm, step.session.recipe.grpo.max_grad_norm
    clipped = f"the limit is {limit:g}, so it is scaled by {limit / norm:.3f}"
    return {
        "norm": norm,
        "rate": step.rate,
        "clipped": clipped if norm > limit else f"the limit is {limit:g}, so nothing is clipped",
    }


def _completion(batch: RewardedBatch, r: int) -> dict[str, Any]:
    response = batch.sampled.responses[r]
    grade = response.grade
    return {
        "text": _table_cell(response.text),
        "tokens": response.tokens,
        "logp": float(batch.sampled.completions.logp[r].sum()),
        "choice": "nothing" if grade.choice is None else response.question.choices[grade.choice],
        "reason": grade.reason,
        "reward": float(batch.rewards.flatten()[r]),
        "advantage": float(batch.advantages[r]),
    }


def _tokens(step: Step, rows: range) -> list[dict[str, Any]]:
    """The first right and the first wrong completion, token by token."""
    batch, tokens = step.batch, []
    assert batch.reference_logp is not None
    for which, correct in (("right", True), ("wrong", False)):
        r = next(r for r in rows if batch.sampled.responses[r].grade.correct == correct)
        kl, loss = _terms(step, r)
        for t in range(len(kl)):
            text = step.session.policy.decode([int(batch.sampled.completions.tokens[r, t])])
            tokens.append(
                {
                    "which": which,
                    "text": _table_cell(text) if text else "end of sequence",
                    "logp": float(step.logp[r, t]),
                    "reference": float(batch.reference_logp[r, t]),
                    "kl": float(kl[t]),
                    "loss": float(loss[t]),
                }
            )
    return tokens


def _terms(step: Step, r: int) -> tuple[Tensor, Tensor]:
    """(KL, loss) of each token of row r, from the equations and not from `grpo_loss`."""
    n = int(step.batch.sampled.completions.lengths[r])
    assert step.batch.reference_logp is not None
    gap = step.batch.reference_logp[r, :n].double() - step.logp[r, :n].double()
    kl = gap.exp() - gap - 1
    return kl, -float(step.batch.advantages[r]) + step.session.recipe.grpo.beta * kl


def _moved(step: Step, rows: range) -> list[dict[str, Any]]:
    """Each different completion with its probability before and after the update, %."""
    completions = {}
    for r in rows:
        n = int(step.batch.sampled.completions.lengths[r])
        before, after = (100 * float(logp[r, :n].double().sum().exp()) for logp in (step.logp, step.logp_after))
        text = _table_cell(step.batch.sampled.responses[r].text)
        advantage = float(step.batch.advantages[r])
        completions[text] = {"text": text, "advantage": advantage, "before": before, "after": after}
    return list(completions.values())


def _accuracy(run: Path) -> list[dict[str, Any]]:
    rows = []
    for name, audio in (("test", "with the clip"), ("test-no-audio", "without it")):
        summaries = [
            json.loads((run.parent / stage / "eval" / name / "summary.json").read_text(encoding="utf-8"))
            for stage in ("sft", "grpo")
        ]
        before, after = (_percent(summary["accuracy"]["all"]) for summary in summaries)
        rows.append({"audio": audio, "n": summaries[0]["n"], "before": before, "after": after})
    return rows


def _percent(share: dict[str, float]) -> str:
    return f"{100 * share['mean']:.1f} [{100 * share['low']:.0f}, {100 * share['high']:.0f}]"


def _changed(run: Path) -> dict[str, Any] | None:
    """The first test question that became right; None where there is none."""
    before, after = (read_evaluation_rows(run.parent / stage / "eval" / "test") for stage in ("sft", "grpo"))
    for old, new in zip(before, after, strict=True):
        if new["correct"] and not old["correct"]:
            return {
                "id": new["id"],
                "question": new["question"],
                "choices": new["choices"],
                "before": _table_cell(old["completion"]),
                "after": _table_cell(new["completion"]),
            }
    return None


def _table_cell(text: str) -> str:
    """A text as it can stand in one line of a table: signs that do not print are spelled out."""
    plain = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return plain.replace("|", "\\|").replace("`", "'") or "(empty)"


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--step", type=int, default=50)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(words)
    run = options.demo / "grpo"
    with tempfile.TemporaryDirectory() as folder:
        step = repeat(run, options.step, Path(folder) / "repeated")
    if lines := differences(step, options.step, run):
        print(f"the repeated step differs from {run}, so no page is written:", *lines, sep="\n  ", file=sys.stderr)
        return 1
    head = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()
    write_text(options.out, page({**facts(step, options.step, run), "commit": commit}))
    print(f"page: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
