"""Measures the sides of a comparison in turn, for every figure of docs/performance.md.

A side is a function that runs once and returns its cost. The sides take turns within a round (ours, theirs, ours,
theirs ...), so that a busy machine is busy for all of them, and the first rounds warm up. A ratio is taken within each
round. Medians and the whole range are written as JSON with device, versions and commit. The measure is the time that a
process computed, which says more on a shared machine than the time on the clock; both are kept.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harken.system.environment import processor_name
from harken.system.files import write_json

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "transformers", "trl")


def _git(*command: str) -> str:
    return subprocess.run(
        ["git", *command], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    ).stdout.strip()


COMMIT = _git("rev-parse", "HEAD")[:12] + (" (changed)" if _git("status", "--porcelain", "src") else "")
"""The commit of the code that runs, read at the start."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one run: seconds on the clock, and seconds that the process computed, over all its threads."""

    wall_s: float
    cpu_s: float


Side = Callable[[], Cost]


def timed(run: Callable[[], object]) -> Side:
    """A function of this process as a side."""

    def side() -> Cost:
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        return Cost(time.perf_counter() - wall, time.process_time() - cpu)

    return side


class Peer:
    """A program in a process of its own that makes one step for each line it reads, and answers with the step's cost.

    It may run in an environment of its own; `peers/turns.py` is its side. It ends when its input ends.
    """

    def __init__(self, command: Sequence[str], log: Path, **environment: str) -> None:
        self._log = log
        with log.open("w") as stderr:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment
            )

    def __call__(self) -> Cost:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print("step", file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line.startswith("COST "):
                return Cost(**json.loads(line.removeprefix("COST ")))
        raise RuntimeError(f"the peer ended with {self._process.wait()}:\n{self._log.read_text()[-2000:]}")

    def close(self) -> None:
        self._process.communicate()


def interleaved(sides: Mapping[str, Side], *, rounds: int, warm_up: int = 1) -> dict[str, list[Cost]]:
    """The costs of each side, one for each round.

    Another side begins in each round, since a side that follows a long step of another process finds its memory cold.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in sides}
    names = list(sides)
    for number in range(warm_up + rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            cost = sides[name]()
            if number >= warm_up:
                costs[name].append(cost)
    return costs


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values), "n": len(values)}


def summary(costs: Mapping[str, Sequence[Cost]]) -> dict[str, dict[str, dict[str, float]]]:
    """Side -> cpu_s and wall_s -> median, low, high, n."""
    return {
        name: {key: spread([asdict(cost)[key] for cost in runs]) for key in ("cpu_s", "wall_s")}
        for name, runs in costs.items()
    }


def median_interval(values: Sequence[float], *, resamples: int = 10_000, seed: int = 0) -> list[float]:
    """A 95 % interval of the median over the rounds: the percentiles of the medians of rounds drawn with
    replacement."""
    draws = np.random.default_rng(seed).choice(np.asarray(values), size=(resamples, len(values)))
    return [float(bound) for bound in np.quantile(np.median(draws, axis=1), [0.025, 0.975])]


def ratios(of: Sequence[Cost], to: Sequence[Cost]) -> list[float]:
    """The process seconds of a side divided by those of another, round by round."""
    return [a.cpu_s / b.cpu_s for a, b in zip(of, to, strict=True)]


def ratio(of: Sequence[Cost], to: Sequence[Cost]) -> dict[str, float]:
    """Median and range of `ratios`."""
    return spread(ratios(of, to))


def arguments(description: str, rounds: int) -> argparse.Namespace:
    """The options that all programs share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="measured rounds")
    parser.add_argument("--only", default="", help="measure only cases whose name contains this; keep the others")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON results")
    parser.add_argument("--swift", type=Path, help="environment made by peers/swift_environment.sh")
    return parser.parse_args()


def machine() -> dict[str, Any]:
    """The circumstances of a measurement."""
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else processor_name(),
        "threads": torch.get_num_threads(),
        "load": f"{os.getloadavg()[1]:.0f} on {os.cpu_count()} cores",
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in PACKAGES},
        "commit": COMMIT,
    }


def write_cases(folder: Path, name: str, cases: Mapping[str, Any]) -> None:
    """Add measured cases to the file, each with its circumstances; a case of the same name is replaced."""
    file = folder / f"{name}.json"
    folder.mkdir(parents=True, exist_ok=True)
    held = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    write_json(file, held | {case: values | {"machine": machine()} for case, values in cases.items()})
