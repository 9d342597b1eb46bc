"""Full fine-tuning of a Qwen2.5-Omni thinker of the published sizes on one card, in under 9 minutes.

Weights are random, made on the device in bfloat16; clips are noise of 10 s, from which features are really extracted.
The parts run in this order:

    rates     of a large matrix product and of a large copy: the least time of everything below follows from them
    48 GB     a whole GRPO step (rollout, reference, update) as one 48 GB card would make it, with its peak
    fast      the same step as this card can make it, beside its least time, and 1,000 steps of it
    passes    packed row and prefill-once rollout against the repeated form and transformers' generate, interleaved;
              and tokens a second of a long decode, with a growing cache and in a CUDA graph

    python benchmarks/gpu.py --out results.json
    python benchmarks/gpu.py --size tiny            # a smoke run on a CPU
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gpu_passes import measure_passes
from gpu_setup import SIZES, Work, free_memory, measure_rates
from gpu_step import CARD_48, FAST, measure_steps
from harken.models.loading import pick_device
from harken.system.environment import source_commit


def main(words: list[str] | None = None) -> dict[str, Any]:
    options = read_options(words)
    device = pick_device("auto")
    work = Work(
        size=options.size,
        layers=options.layers,
        device=device,
        seconds=options.seconds,
        prompts=options.prompts,
        group=options.group,
        completion=options.completion,
        repeats=options.repeats,
    )
    report: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "commit": source_commit(),
        "arguments": {key: str(value) for key, value in vars(options).items()},
        "rates": measure_rates(work),
    }
    started = time.perf_counter()
    parts: dict[str, Callable[[], Any]] = {
        "48 GB": lambda: measure_steps(work, CARD_48, report["rates"], checkpointing=True),
        "fast": lambda: measure_steps(work, FAST, report["rates"], checkpointing=options.checkpointing),
        "passes": lambda: measure_passes(work, options.long),
    }
    for name, run in parts.items():
        free_memory(device)
        try:
            report[name] = run()
        except torch.OutOfMemoryError as error:
            report[name] = {"error": str(error).split(". ")[0]}
        print(json.dumps({name: report[name]}, indent=1))
        report["seconds"] = time.perf_counter() - started
        if options.out:  # after every part, since a later one may end the process
            options.out.write_text(json.dumps(report, indent=1) + "\n")
    return report


def read_options(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="7b")
    parser.add_argument("--layers", type=int, help="fewer blocks of the language model than published")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a clip")
    parser.add_argument("--prompts", type=int, default=8, help="prompts of a step")
    parser.add_argument("--group", type=int, default=8, help="completions per prompt")
    parser.add_argument("--completion", type=int, default=16, help="tokens of a completion")
    parser.add_argument("--long", type=int, default=300, help="tokens of the long decode")
    parser.add_argument("--repeats", type=int, default=3, help="measured rounds")
    parser.add_argument("--checkpointing", action="store_true", help="recompute blocks in the fast mode too")
    parser.add_argument("--out", type=Path, help="file of the results")
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
