"""`harken plan`: whether a recipe fits the memory of a GPU, and how long it takes."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.options import Overrides, RecipeFile, check_names, console


def plan(
    recipe: RecipeFile,
    gpu_memory: Annotated[
        float | None,
        typer.Option("--gpu-memory", min=1, help="Memory of one GPU in GiB; without it that of --card or --measure."),
    ] = None,
    card: Annotated[
        str | None,
        typer.Option("--card", help="The GPU whose rates are used: a6000, l40s, a100, h100 or h200."),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure the rates of this machine's GPU instead, in a few seconds.")
    ] = False,
    gpus: Annotated[
        int, typer.Option("--gpus", min=1, help="How many GPUs share the weights and the optimizer's state.")
    ] = 1,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="Length of a clip in seconds.")] = 10.0,
    overrides: Overrides = None,
) -> None:
    """Say whether GRPO with a recipe fits a GPU, how long a step takes, and which settings fit or are faster.

    No model is loaded, and times are arithmetic. Exit code 1 when the recipe does not fit.
    """
    from harken.config import load_recipe
    from harken.planning.cards import card_for, measure_card
    from harken.planning.plan import print_plan

    assert isinstance(recipe, Path)  # without a default the argument is required
    settings = load_recipe(recipe, overrides or [])
    check_names(settings.data.train, settings.prompt)
    rates = measure_card() if measure else card_for(card, gpu_memory)
    if not print_plan(settings, rates, gpu_memory or rates.memory_gib, gpus, seconds, console):
        raise typer.Exit(1)
