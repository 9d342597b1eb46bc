"""Writes run folders by hand, as training and evaluation leave them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from harken.results.summary import summarise
from harken.system.files import write_json, write_text
from harken.system.json_lines import write_json_lines

Row = dict[str, Any]


def write_clips(folder: Path, names: Sequence[str], seconds: float = 0.5) -> None:
    """Write a short falling tone for each name; each name has another pitch."""
    for number, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        time_s = np.arange(int(16_000 * seconds)) / 16_000
        soundfile.write(file, 0.5 * np.sin(2 * np.pi * (600 + 40 * number) * time_s * (1 - time_s / 4)), 16_000)


def prediction(ident: str, *, correct: bool, **changes) -> Row:
    """A row of predictions.jsonl: the choices are a cat and a dog, a dog is right."""
    choice = "a dog" if correct else "a cat"
    return {
        **{"id": ident, "clip": f"audio/{ident}.wav", "task": "sound", "difficulty": "easy"},
        **{
            "question": "Which animal is heard?",
            "choices": ["a cat", "a dog"],
            "answer": "a dog",
            "completion": choice,
        },
        **{"choice": choice, "correct": correct, "extracted": choice, "reason": "exact", "tokens": 2, "ended": True},
        **changes,
    }


def sampled(ident: str, g: int, *, correct: bool, **changes) -> Row:
    """A row of a rollout file."""
    choice = "a dog" if correct else "a cat"
    return {
        **{"id": ident, "clip": f"audio/{ident}.wav", "task": "sound", "difficulty": "easy"},
        **{"question": "Which animal is heard?", "choices": ["a cat", "a dog"], "g": g, "completion": choice},
        **{"choice": choice, "answer": "a dog", "correct": correct, "reason": "exact", "tokens": 2, "ended": True},
        **{"reward": float(correct), "rewards": {"accuracy": float(correct)}, "advantage": 1.0 if correct else -1.0},
        **changes,
    }


def write_evaluation(
    run: Path,
    name: str,
    rows: Sequence[Row],
    *,
    model: str,
    audio: str = "real",
    file: str = "data/test.json",
    force: str | None = None,
) -> None:
    folder = run / "eval" / name
    data = {"file": str(file), "audio": audio, "audio_root": None}
    write_text(folder / "config.yaml", yaml.safe_dump({"model": model, "data": data}))
    write_json_lines(folder / "predictions.jsonl", rows)
    summary = {**summarise(rows), "audio": data["audio"], "model": model, "data": data["file"], "force": force}
    write_json(folder / "summary.json", summary)


def write_run(
    run: Path,
    *,
    model: str = "base",
    data: str = "data/train.json",
    metrics: Sequence[Mapping[str, Any]] = (),
    rollouts: Mapping[int, Sequence[Row]] | None = None,
    **changes,
) -> Path:
    recipe = {
        **{"name": "made", "seed": 3, "model": {"path": model}, "data": {"train": [{"file": data}]}},
        "prompt": {"style": "omni_r1"},
        "reward": {"accuracy": 1.0, "format": 0.0},
        "grpo": {
            **{"steps": 40, "prompts_per_step": 2, "completions_per_prompt": 2},
            **{"learning_rate": 1e-6, "beta": 0.04},
        },
        **changes,
    }
    write_text(run / "config.yaml", yaml.safe_dump(recipe, allow_unicode=True))
    machine = {"started": "2026-01-02T03:04:05+00:00", "commit": "0123abcd", "devices": ["GPU X", "GPU X"]}
    write_json(run / "environment.json", machine)
    write_json_lines(run / "metrics.jsonl", metrics)
    for step, rows in (rollouts or {}).items():
        write_json_lines(run / "rollouts" / f"step_{step:06d}.jsonl", rows)
    return run


def metric_rows(steps: int) -> list[Row]:
    return [
        {
            **{"step": step, "reward/mean": step / steps, "reward/accuracy": step / steps, "loss/kl": 0.01 * step},
            **{"policy/entropy": 1.0 / step, "time/step_s": 0.5, "completion/think": 0.5},
        }
        for step in range(1, steps + 1)
    ]


def write_demo(folder: Path) -> Path:
    """Write a warm start and a run that started from it, both evaluated with and without the clip. Returns the run.

    There are eight questions. After training two more are right, one more is wrong, and one answer is unreadable.
    """
    data, start, run = folder / "data", folder / "sft", folder / "grpo"
    names = [f"test_{i}" for i in range(8)]
    write_clips(data, [f"audio/{name}.wav" for name in [*names, "train_0", "train_1"]])
    write_run(start, data=str(data / "train.json"))
    write_run(
        run,
        model=str(start / "checkpoints" / "step_000010"),
        data=str(data / "train.json"),
        metrics=metric_rows(40),
        rollouts={
            step: [sampled(f"train_{q}", g, correct=(g + q + step) % 2 == 0) for q in range(2) for g in range(2)]
            for step in (10, 20, 31)
        },
    )
    (start / "checkpoints" / "step_000010").mkdir(parents=True)
    file = str(data / "test.json")
    right = {"before": {0, 1, 2, 3}, "after": {1, 2, 3, 4, 5}}
    for where, when in ((start, "before"), (run, "after")):
        for name, audio in (("test", "real"), ("test-no-audio", "none")):
            rows = [
                prediction(ident, correct=i in right[when] and (audio == "real" or i < 2))
                for i, ident in enumerate(names)
            ]
            for i in (6, 7):
                rows[i] |= {"task": "speech", "difficulty": "hard"}
            if when == "after":
                rows[7] |= {"completion": "?", "choice": None, "reason": "no choice"}
            model = str(where)
            write_evaluation(where, name, rows, model=model, audio=audio, file=file)
    return run
