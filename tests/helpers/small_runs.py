"""Small training runs, and functions that read and compare what they wrote, bit for bit."""

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
from harken.rewards import per_group
from harken.training.sft import sft

LOOPS = {"grpo": train, "sft": sft}
STEPS = 6


def small_recipe(model: Path, data: Path, lora: bool = False, **changes) -> Recipe:
    """Six steps of a few completions; `changes` are to the section `logging`."""
    adapters = {"lora": {"rank": 4}, "train_projector": True} if lora else {}
    values: dict[str, Any] = {
        **{"name": "small", "seed": 5, "model": {"path": str(model), **adapters}},
        "data": {"train": [{"file": str(data)}], "dev_share": 0.3},
        "grpo": {
            **{"steps": STEPS, "prompts_per_step": 2, "completions_per_prompt": 2},
            **{"max_completion_tokens": 3, "learning_rate": 1e-2},
        },
        "sft": {"steps": STEPS, "prompts_per_step": 2, "learning_rate": 1e-2},
        "logging": {"every": 1, "checkpoint_every": 2, "evaluate_every": 3, **changes},
    }
    return Recipe.model_validate(values)


def quiet_console() -> Console:
    return Console(quiet=True)


def metric_rows(run: Path) -> list[dict[str, Any]]:
    """The metric rows without times and memory, which differ from one machine and hour to the next."""
    with (run / "metrics.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [{k: v for k, v in row.items() if not k.startswith(("time/", "memory/"))} for row in rows]


def file_names(run: Path) -> list[str]:
    return sorted(str(path.relative_to(run)) for path in run.rglob("*"))


def read_run(run: Path) -> dict[str, Any]:
    """Everything that a run wrote: names of files, metric rows, rollouts, and weights and state of every checkpoint."""
    contents: dict[str, Any] = {"files": file_names(run), "rows": metric_rows(run)}
    for file in run.rglob("*.jsonl"):
        if file.name != "metrics.jsonl":
            contents[str(file.relative_to(run))] = file.read_text(encoding="utf-8")
    for folder in (run / "checkpoints").glob("step_*"):
        contents[folder.name] = load_file(next(folder.glob("*.safetensors")))  # weights, or adapters
        for name in ("optimizer", "random"):
            contents[f"{folder.name}/{name}"] = torch.load(folder / "trainer" / f"{name}.pt", weights_only=True)
        contents[f"{folder.name}/state"] = (folder / "trainer" / "state.json").read_text()
    best = run / "checkpoints" / "best.json"
    contents["best"] = best.read_text() if best.exists() else None
    return contents


def differences(a: Any, b: Any, place: str = "") -> list[str]:
    """The places at which two nested values differ; tensors are compared bit for bit."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return [] if a.dtype == b.dtype and torch.equal(a, b) else [place]
    if isinstance(a, dict) and isinstance(b, dict):
        places = [f"{place}/{key}" for key in a.keys() ^ b.keys()]
        for key in a.keys() & b.keys():
            places += differences(a[key], b[key], f"{place}/{key}")
        return places
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        places = []
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            places += differences(x, y, f"{place}/{i}")
        return places
    return [] if a == b else [place]


@contextlib.contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """A write beyond so many bytes of a file fails, as on a full disk (Python ignores SIGXFSZ)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def reward_by_letters(response) -> float:
    """A reward that differs from one completion to the next even where the model has learned nothing."""
    return (sum(map(ord, response.text)) % 7) / 7


@per_group
def reward_of_odd_questions(responses) -> list[float]:
    """A reward that differs in the groups of the questions q1, q3 ..., and is 0 in those of the others."""
    return [place * (int(response.question.id[1:]) % 2) / 7 for place, response in enumerate(responses)]


def reward_at_random(response) -> float:
    """A reward that draws from torch's generator."""
    return float(torch.rand(()))


def reward_by_letters_until_lost(response) -> float:
    """The same reward; the rank that HARKEN_TEST_LOSE names kills itself in the third step."""
    if "RANK" in os.environ and os.environ.get("HARKEN_TEST_LOSE") == os.environ["RANK"]:
        CALLS.append(None)
        if len(CALLS) > 2 * 2 * 4:  # two steps of two questions, four completions each
            os.kill(os.getpid(), signal.SIGKILL)
    return reward_by_letters(response)


CALLS: list[None] = []
