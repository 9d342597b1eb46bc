"""`harken train`: trains a model with GRPO."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from harken.cli.training_command import training_command

if TYPE_CHECKING:
    from harken.api.runs import Run


def _load_loop() -> Callable[..., "Run"]:
    from harken.api.training import train

    return train


train = training_command(_load_loop, about="Train a model with reinforcement learning (GRPO), as a recipe says.")
