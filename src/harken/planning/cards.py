"""Rates of GPUs, from which the time of a step is computed: a table of known cards, and a measurement of a real one."""

import time
from dataclasses import dataclass

import torch

from harken.errors import ConfigError, did_you_mean


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU.

    Attributes:
        memory_gib: what programs can use, as nvidia-smi states it.
        tflops: bfloat16 products of large matrices, in 10^12 operations a second.
        memory_gb_s: reading its own memory, in 10^9 bytes a second.
        host_gb_s: copies from and to pinned host memory, each way.
        link_gb_s: what it receives from the other cards of its machine.
    """

    name: str
    memory_gib: float
    tflops: float
    memory_gb_s: float
    host_gb_s: float
    link_gb_s: float


CARDS = {
    "a6000": Card("RTX A6000", 48, 124, 768, 25, 20),
    "l40s": Card("L40S", 45, 290, 864, 25, 20),
    "a100": Card("A100 SXM 80 GB", 80, 271, 2039, 25, 240),
    "h100": Card("H100 SXM", 79.6, 794, 3350, 50, 350),
    "h200": Card("H200 SXM", 140, 794, 4800, 50, 350),
}
"""tflops: what the largest matrix products reach, measured by S. Bekman (github.com/stas00/ml-engineering, Maximum
Achievable Matmul FLOPS: A100 271.2, H100 794.5, H200 the same); of A6000 (155) and L40S (362) 80 % of NVIDIA's data
sheets, as with the others. memory_gb_s: data sheets. host_gb_s: about 80 % of PCIe 4 and 5 with 16 lanes. link_gb_s:
about 80 % of NVLink each way, and PCIe 4 through the host for A6000 and L40S without a bridge."""


def card_for(name: str | None, memory_gib: float | None) -> Card:
    """The card of this name, or the least of the table with so much memory.

    Raises ConfigError where there is no such card, or neither is given.
    """
    if name is not None:
        if name.lower() not in CARDS:
            near = did_you_mean(name.lower(), CARDS)
            raise ConfigError(f"--card {name}: known are {', '.join(CARDS)}{near}; give --gpu-memory for another one")
        return CARDS[name.lower()]
    if memory_gib is None:
        raise ConfigError(f"which GPU? give --gpu-memory GIB, or --card with one of {', '.join(CARDS)}")
    large_enough = [card for card in CARDS.values() if card.memory_gib >= 0.95 * memory_gib]
    return min(large_enough or CARDS.values(), key=lambda card: abs(card.memory_gib - memory_gib))


def measure_card() -> Card:
    """The rates of this machine's GPU, in a few seconds; the link to other cards is taken from the table.

    Raises ConfigError where there is no GPU.
    """
    if not torch.cuda.is_available():
        raise ConfigError("--measure: no CUDA device can be used here; give --card or --gpu-memory")
    device = torch.device("cuda")
    properties = torch.cuda.get_device_properties(device)
    memory_gib = properties.total_memory / 2**30
    size = 8192
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    product_s = _seconds(lambda: left @ right)
    on_card = torch.empty(2**29, dtype=torch.uint8, device=device)
    copy_s = _seconds(on_card.clone)
    on_host = torch.empty(2**28, dtype=torch.uint8, pin_memory=True)
    part = on_card[: 2**28]
    host_s = _seconds(lambda: part.copy_(on_host, non_blocking=True))
    return Card(
        name=f"{properties.name}, measured",
        memory_gib=memory_gib,
        tflops=2 * size**3 / product_s / 1e12,
        memory_gb_s=2 * 2**29 / copy_s / 1e9,
        host_gb_s=2**28 / host_s / 1e9,
        link_gb_s=card_for(None, memory_gib).link_gb_s,
    )


def _seconds(work) -> float:
    """The mean of ten runs after three."""
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(10):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - started) / 10
