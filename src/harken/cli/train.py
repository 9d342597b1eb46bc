"""`harken train`: trains a model with GRPO."""

from collections.abc import Callable
from pathlib import Path

from harken.cli.training_command import training_command


def _load_loop() -> Callable[..., Path]:
    from harken.grpo.loop import train

    return train


train = training_command(_load_loop, about="Train a model with reinforcement learning (GRPO), as a recipe says.")
