"""GRPO steps of a 7B model on one card, in one command of under 8 minutes; the most important figure comes first.

Weights are random, of Qwen2.5-Omni-7B's published sizes, made on the device; clips are noise of 10 s, from which
features are really extracted. After each part the results are written. A part that would begin after `--limit` seconds
is left out and named; one that fails is named with its error, and the next one begins. The parts are:

    rates          of a large matrix product and of a large copy: the least time of a step follows from them
    R1-AQA         whole steps of 16 prompts x 8 completions with direct answers of 10 tokens: seconds by stage, peak
                   memory beside the account, GPU hours of 1,000 steps beside R1-AQA's published 32 to 40 (8 x H800)
    Audio-Thinker  the same with completions of 512 tokens
    graphs         the rows of that step decoded with single launches and in a CUDA graph; are the tokens equal?
    cuDNN          rollout and policy pass with cuDNN's attention on and off, at lengths that are new each time
    repeated       policy pass and rollout of one prompt against the repeated form and transformers' generate

    python benchmarks/gpu.py                 # on a GPU
    python benchmarks/gpu.py --small         # every part at its smallest, on a CPU, in under 2 minutes

R1-AQA trained Qwen2-Audio; here both recipes run on Qwen2.5-Omni's sizes, so that one model serves all parts.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gpu_compare import measure_cudnn, measure_graphs, measure_repeated
from gpu_setup import SIZES, Work, free_memory, measure_rates
from gpu_step import MeasuredSteps, fastest_that_fits, measure_steps
from harken.models.loading import pick_device
from harken.planning.memory_items import GIB
from harken.system.environment import source_commit
from harken.system.files import write_json

PUBLISHED_HOURS = {"R1-AQA, 1,000 steps on 8 x H800": [32, 40]}
SMALL = {"size": "tiny", "seconds": 0.5, "prompts": 2, "group": 2, "direct": 3, "thinking": 5, "repeats": 1}
CPU_BYTES = 80 * GIB
"""The memory that is assumed for a machine without a card, so that a memory mode can be chosen there."""


def main(words: list[str] | None = None) -> dict[str, Any]:
    options = read_options(words)
    work = work_of(options)
    report: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if work.device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "commit": source_commit(),
        "arguments": {key: str(value) for key, value in vars(options).items()},
        "published_gpu_hours": PUBLISHED_HOURS,
        "left_out": [],
    }
    started = time.perf_counter()
    for name, run in Parts(work).runs().items():
        if time.perf_counter() - started > options.limit:
            report["left_out"].append(name)
            continue
        try:
            report[name] = run()
        except RuntimeError as error:  # out of memory, or a kernel that this card or driver lacks
            report[name] = {"error": str(error).partition("\n")[0]}
        report["seconds"] = time.perf_counter() - started
        print(json.dumps({name: report[name]}, indent=1), flush=True)
        write_json(options.out, report)  # now, since a later part may end the process
    return report


class Parts:
    """The parts in their order. One model is on the card at a time; later parts use that of Audio-Thinker's step."""

    def __init__(self, work: Work) -> None:
        self._work, self._rates = work, {}
        self._steps: MeasuredSteps | None = None
        self._mode = ""

    def runs(self) -> dict[str, Callable[[], Any]]:
        work = self._work
        return {
            "rates": self._measure_rates,
            "R1-AQA": lambda: self._measure_recipe("r1_aqa", work.direct),
            "Audio-Thinker": lambda: self._measure_recipe("audio_thinker_model_f", work.thinking),
            "graphs": lambda: measure_graphs(self._thinking(), min(128, work.thinking)),
            "Audio-Thinker in graphs": self._measure_graph_steps,
            "cuDNN": lambda: measure_cudnn(self._thinking(), work.direct),
            "repeated": lambda: measure_repeated(self._thinking(), 2 * work.direct),
        }

    def _measure_rates(self) -> dict[str, float]:
        self._rates = measure_rates(self._work)
        return self._rates

    def _measure_recipe(self, name: str, tokens: int) -> dict[str, Any]:
        self._build(name, tokens)
        assert self._steps is not None
        return measure_steps(self._steps, self._mode, self._rates)

    def _measure_graph_steps(self) -> dict[str, Any]:
        return measure_steps(self._thinking(), self._mode, self._rates, cuda_graph=True)

    def _thinking(self) -> MeasuredSteps:
        """Audio-Thinker's steps, built again where that part ran out of memory."""
        if self._steps is None:
            self._build("audio_thinker_model_f", self._work.thinking)
        assert self._steps is not None
        return self._steps

    def _build(self, name: str, tokens: int) -> None:
        self._steps = None
        free_memory(self._work.device)
        cuda = self._work.device.type == "cuda"
        card_bytes = torch.cuda.mem_get_info()[0] if cuda else CPU_BYTES
        self._mode, recipe = fastest_that_fits(self._work, name, tokens, card_bytes)
        self._steps = MeasuredSteps(self._work, recipe)


def work_of(options: argparse.Namespace) -> Work:
    """The options, with those of SMALL over them for a small run."""
    values = {**vars(options), **(SMALL if options.small else {})}
    names = ("size", "layers", "seconds", "prompts", "group", "direct", "thinking", "repeats")
    return Work(device=pick_device("auto"), **{name: values[name] for name in names})


def read_options(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="every part at its smallest")
    parser.add_argument("--size", choices=SIZES, default="7b")
    parser.add_argument("--layers", type=int, help="fewer blocks of the language model than published")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a clip")
    parser.add_argument("--prompts", type=int, default=16, help="prompts of a step")
    parser.add_argument("--group", type=int, default=8, help="completions per prompt")
    parser.add_argument("--direct", type=int, default=10, help="tokens of a direct answer")
    parser.add_argument("--thinking", type=int, default=512, help="tokens of a completion with reasoning")
    parser.add_argument("--repeats", type=int, default=2, help="measured rounds, after one that warms up")
    parser.add_argument("--limit", type=float, default=400.0, help="seconds after which no further part begins")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="file of the results")
    return parser.parse_args(words)


if __name__ == "__main__":
    failed = [name for name, part in main().items() if isinstance(part, dict) and "error" in part]
    sys.exit(f"ended with an error: {', '.join(failed)}" if failed else 0)
