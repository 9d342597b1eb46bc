"""Small training runs and what they leave, to be compared bit for bit."""

import contextlib
import json
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from safetensors.torch import load_file

from harken.config import Recipe
from harken.grpo.loop import train
from harken.training.sft import sft

LOOPS = {"grpo": train, "sft": sft}
STEPS = 6


def recipe(model: Path, data: Path, lora: bool = False, **changes) -> Recipe:
    """Six steps of a few completions; `changes` are for `logging`."""
    adapters = {"lora": {"rank": 4}, "train_projector": True} if lora else {}
    values: dict[str, Any] = {
        **{"name": "small", "seed": 5, "model": {"path": str(model), **adapters}},
        "data": {"train": [{"file": str(data)}], "dev_share": 0.3},
        "grpo": {
            **{"steps": STEPS, "prompts_per_step": 2, "completions_per_prompt": 2, "prompts_per_micro_batch": 2},
            **{"max_completion_tokens": 3, "learning_rate": 1e-2},
        },
        "sft": {"steps": STEPS, "prompts_per_step": 2, "prompts_per_micro_batch": 2, "learning_rate": 1e-2},
        "logging": {"every": 1, "checkpoint_every": 2, "evaluate_every": 3, **changes},
    }
    return Recipe.model_validate(values)


def silent() -> Console:
    return Console(quiet=True)


def rows_of(run: Path) -> list[dict[str, Any]]:
    """Metric rows without what differs from one machine and hour to the next."""
    with (run / "metrics.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [{k: v for k, v in row.items() if not k.startswith(("time/", "memory/"))} for row in rows]


def files_of(run: Path) -> list[str]:
    return sorted(str(path.relative_to(run)) for path in run.rglob("*"))


def left_by(run: Path) -> dict[str, Any]:
    """All that a run leaves: names of files, metric rows, rollouts, and of every checkpoint weights and state."""
    found: dict[str, Any] = {"files": files_of(run), "rows": rows_of(run)}
    for file in run.rglob("*.jsonl"):
        if file.name != "metrics.jsonl":
            found[str(file.relative_to(run))] = file.read_text(encoding="utf-8")
    for folder in (run / "checkpoints").glob("step_*"):
        found[folder.name] = load_file(next(folder.glob("*.safetensors")))  # weights, or adapters
        for name in ("optimizer", "random"):
            found[f"{folder.name}/{name}"] = torch.load(folder / "trainer" / f"{name}.pt", weights_only=True)
        found[f"{folder.name}/state"] = (folder / "trainer" / "state.json").read_text()
    best = run / "checkpoints" / "best.json"
    found["best"] = best.read_text() if best.exists() else None
    return found


def differences(a: Any, b: Any, place: str = "") -> list[str]:
    """Where two nested values differ; tensors bit for bit."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return [] if a.dtype == b.dtype and torch.equal(a, b) else [place]
    if isinstance(a, dict) and isinstance(b, dict):
        found = [f"{place}/{key}" for key in a.keys() ^ b.keys()]
        return found + [one for key in a.keys() & b.keys() for one in differences(a[key], b[key], f"{place}/{key}")]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        return [one for i, (x, y) in enumerate(zip(a, b, strict=True)) for one in differences(x, y, f"{place}/{i}")]
    return [] if a == b else [place]


@contextlib.contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Every write beyond so many bytes of a file fails, as on a full disk (Python ignores SIGXFSZ)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def told_apart(response) -> float:
    """A reward that differs from one completion to the next, also of a model that has learned nothing."""
    return (sum(map(ord, response.text)) % 7) / 7


def told_apart_until_lost(response) -> float:
    """The same; the second rank is killed in the third step of a run that HARKEN_TEST_LOSE asks to lose it."""
    if "RANK" in os.environ and os.environ.get("HARKEN_TEST_LOSE") == os.environ["RANK"]:
        CALLS.append(None)
        if len(CALLS) > 2 * 2 * 4:  # two steps of two questions, four completions each
            os.kill(os.getpid(), signal.SIGKILL)
    return told_apart(response)


CALLS: list[None] = []
