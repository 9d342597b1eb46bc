"""A small network, an optimizer for it in any memory mode, and training steps on seeded batches."""

import torch

from harken.config import MemoryConfig
from harken.training.optimizer import apply_update, build_optimizer, set_learning_rate


def small_network(dtype=torch.float32) -> torch.nn.Module:
    torch.manual_seed(3)
    # 64 x 64 is just large enough for 8 bits, 10 x 64 is not.
    return torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 10)).to(dtype)


def train_steps(module, optimizer, steps=6, rate=1e-3, most=None, first=0):
    """Make steps on seeded batches. Returns the gradient norms."""
    norms = []
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(step)
        dtype = next(module.parameters()).dtype
        inputs, targets = (torch.randn(8, n, generator=generator).to(dtype) for n in (64, 10))
        set_learning_rate(optimizer, rate)
        (module(inputs) - targets).square().mean().backward()
        norms.append(apply_update(optimizer, rate, most))
    return norms


def optimizer_of(module, seed=0, **memory):
    return build_optimizer(
        module,
        learning_rate=1e-3,
        betas=(0.9, 0.99),
        weight_decay=0.1,
        memory=MemoryConfig.model_validate(memory),
        seed=seed,
    )


def largest_difference(module, other) -> float:
    """Largest absolute difference between two weights."""
    pairs = zip(module.parameters(), other.parameters(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)
