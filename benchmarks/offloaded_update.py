"""CPU time of an update with `memory.optimizer: offloaded`, in nanoseconds a weight and core.

    python benchmarks/offloaded_update.py [--weights 67108864] [--rounds 9]

One matrix of so many weights, on one thread, with gradients in the weights' type; float32 weights and bfloat16 ones
with corrections. The time is that of the whole process: gradients copied into the buffers, the update, weights written
back. Medians of rounds that alternate; the first round, which touches memory first, does not count.
"""

import argparse
import os
import statistics
import time

import torch

from harken.config import MemoryConfig
from harken.training.optimizer import build_optimizer

KINDS = {"float32": torch.float32, "bf16_corrected": torch.bfloat16}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=int, default=2**26)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    updates = {weights: offloaded_update(weights, options.weights) for weights in KINDS}
    times: dict[str, list[float]] = {weights: [] for weights in KINDS}
    for _ in range(options.rounds + 1):
        for weights, update in updates.items():
            started = time.process_time()
            update()
            times[weights].append((time.process_time() - started) / options.weights * 1e9)
    print(f"torch {torch.__version__}, one thread, load {os.getloadavg()[0]:.1f}")
    for weights, all_times in times.items():
        counted = all_times[1:]
        print(f"{weights}: {statistics.median(counted):.2f} ns a weight ({min(counted):.2f} to {max(counted):.2f})")


def offloaded_update(weights: str, size: int):
    """A function that makes one update."""
    module = torch.nn.Linear(4096, size // 4096, bias=False, dtype=KINDS[weights])
    memory = MemoryConfig.model_validate({"weights": weights, "optimizer": "offloaded"})
    optimizer = build_optimizer(module, learning_rate=1e-6, betas=(0.9, 0.99), weight_decay=0.0, memory=memory)
    module.weight.grad = torch.randn_like(module.weight) * 1e-3
    return optimizer.step


if __name__ == "__main__":
    main()
