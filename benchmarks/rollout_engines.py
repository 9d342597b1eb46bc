"""GRPO on the built-in sounds with several rollout engines, from the same warm start.

    make demo
    python benchmarks/rollout_engines.py --demo runs/demo --out runs/engines --engines harken vllm
    python benchmarks/rollout_engines.py --demo runs/demo --out runs/engines --engines noisy noisy+truncate --noise 2

Engines: `harken`, the policy itself; `vllm`, which has to be installed; `noisy`, the policy itself with normal noise
of size `--noise` added to each logit, and the log-probabilities that belong to these; `biased`, the same with one draw
of noise for each token of the vocabulary, which stays for the whole run. `+truncate` adds importance weights.

Each run trains for `--steps` steps from the demo's warm start. The seed decides the order of the questions and the
samples. A row of OUT/rows.jsonl is one seed and engine: accuracy on the test questions after training, the mean reward
in each quarter of the steps, and figures of the gap, the weights and the time.
"""

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from rich.console import Console

import harken.grpo.loop
from harken.api.demo import SETTINGS
from harken.config import EvaluationRecipe, Recipe
from harken.evaluation.evaluate import evaluate
from harken.inference.engine import OwnEngine
from harken.models.architectures import resolve_checkpoint


class NoisyEngine(OwnEngine):
    """The policy with noise on its logits. Tokens are drawn from the noisy distribution and come with its
    log-probabilities, as from an engine with inexact kernels."""

    def __init__(self, noise: float, *, stays: bool) -> None:
        super().__init__()
        self._noise, self._stays, self._generator = noise, stays, torch.Generator().manual_seed(0)

    @contextlib.contextmanager
    def holding(self, policy: Any) -> Iterator[None]:
        with super().holding(_Noisy(policy, self._add_noise)):
            yield

    def _add_noise(self, logits: torch.Tensor) -> torch.Tensor:
        if self._stays:
            self._generator.manual_seed(0)
        shape = logits.shape[-1:] if self._stays else logits.shape
        return logits + self._noise * torch.randn(shape, generator=self._generator)


class _Noisy:
    """A policy whose logits go through a function."""

    def __init__(self, policy: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._own, self._change = policy, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return self._change(self._own.logits(hidden))


def recipe_of(seed: int, demo: Path, **grpo: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "engine",
            "seed": seed,
            "model": {"path": resolve_checkpoint(str(demo / "sft"))},
            "data": {"train": [{"file": str(demo / "data" / "train.json")}]},
            "logging": {"every": 50},
            "grpo": {**SETTINGS["grpo"], **grpo},
        }
    )


def accuracy_of(checkpoint: Path, demo: Path, out: Path) -> float:
    values = {
        "model": str(checkpoint),
        "data": {"file": demo / "data" / "test.json"},
        "max_completion_tokens": 8,
        "batch_size": 96,
    }
    return float(evaluate(EvaluationRecipe.model_validate(values), out)["accuracy"]["all"]["mean"])


def train_with(engine: str, seed: int, arguments: argparse.Namespace, console: Console) -> dict[str, Any]:
    """One run from the warm start. Returns its row."""
    kind, _, importance = engine.partition("+")
    noisy = kind in ("noisy", "biased")
    name = f"{engine}-{arguments.noise:g}" if noisy else engine
    rollout = {
        "engine": "vllm" if kind == "vllm" else "harken",
        "importance": importance or "none",
        "kv_cache_gib": 0.5,
    }
    recipe = recipe_of(seed, arguments.demo, steps=arguments.steps, rollout=rollout)
    run, original = arguments.out / f"{name}-seed_{seed}", harken.grpo.loop.open_engine
    if noisy:
        harken.grpo.loop.open_engine = lambda *_: NoisyEngine(arguments.noise, stays=kind == "biased")
    started = time.perf_counter()
    end, fault = None, ""
    try:
        end = harken.grpo.loop.train(recipe, run, console)
    except ValueError as error:  # the policy has diverged
        fault = str(error)
    finally:
        harken.grpo.loop.open_engine = original
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        "seed": seed,
        "engine": name,
        "steps": len(rows),
        "accuracy": None if end is None else accuracy_of(end, arguments.demo, run / "test"),
        **figures_of(rows),
        "minutes": (time.perf_counter() - started) / 60,
        "fault": fault,
    }


def figures_of(rows: list[dict[str, float]]) -> dict[str, Any]:
    rewards = [row["reward/mean"] for row in rows]
    quarter = max(1, len(rewards) // 4)
    return {
        "reward by quarter": [
            round(mean(rewards[first : first + quarter]), 3) for first in range(0, 4 * quarter, quarter)
        ],
        "gap mean": mean(row["rollout/logp_gap_mean"] for row in rows),
        "gap max": max(row["rollout/logp_gap_max"] for row in rows),
        "mean weight": mean(row.get("rollout/importance_mean", 1.0) for row in rows),
        "weights cut": mean(row.get("rollout/importance_cut", 0.0) for row in rows),
        "entropy at the end": mean(row["policy/entropy"] for row in rows[-10:]),
        "largest gradient": max(row["policy/grad_norm"] for row in rows),
        "kl at the end": mean(row["loss/kl"] for row in rows[-10:]),
        "seconds a step": mean(row["time/step_s"] for row in rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, required=True, help="the folder of `harken demo`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--engines", nargs="+", default=["harken", "vllm"])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--noise", type=float, default=2.0)
    arguments = parser.parse_args()
    console = Console(file=sys.stderr)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for seed in arguments.seeds:
        for engine in arguments.engines:
            row = train_with(engine, seed, arguments, console)
            with (arguments.out / "rows.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
