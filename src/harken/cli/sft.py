"""`harken sft`: fine-tunes a model on the right answers."""

from collections.abc import Callable
from pathlib import Path

from harken.cli.training_command import training_command


def _load_loop() -> Callable[..., Path]:
    from harken.training.sft import sft

    return sft


sft = training_command(
    _load_loop,
    about="Fine-tune a model on the right answers (supervised), with the prompts and the data of a recipe.",
    suffix="-sft",
)
