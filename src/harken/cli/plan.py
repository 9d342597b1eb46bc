"""`harken plan`: whether a recipe fits the memory of a GPU."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.options import Overrides, RecipeFile, check_names, console


def plan(
    recipe: RecipeFile,
    gpu_memory: Annotated[float, typer.Option("--gpu-memory", min=1, help="Memory of one GPU in GiB.")],
    gpus: Annotated[
        int, typer.Option("--gpus", min=1, help="How many GPUs share the weights and the optimizer's state.")
    ] = 1,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="Length of a clip in seconds.")] = 10.0,
    overrides: Overrides = None,
) -> None:
    """Say whether GRPO with a recipe fits a GPU, and if not, which settings would.

    No model is loaded. Exit code 1 when the recipe does not fit.
    """
    from harken.config import load_recipe
    from harken.planning.plan import print_plan

    assert isinstance(recipe, Path)  # without a default the argument is required
    settings = load_recipe(recipe, overrides or [])
    check_names(settings.data.train, settings.prompt)
    if not print_plan(settings, gpu_memory, gpus, seconds, console):
        raise typer.Exit(1)
