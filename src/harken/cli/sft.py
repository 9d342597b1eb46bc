"""`harken sft`: fine-tunes a model on the right answers."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from harken.cli.training_command import training_command

if TYPE_CHECKING:
    from harken.api.runs import Run


def _load_loop() -> Callable[..., "Run"]:
    from harken.api.training import sft

    return sft


sft = training_command(
    _load_loop,
    about="Fine-tune a model on the right answers (supervised), with the prompts and the data of a recipe.",
    suffix="-sft",
)
