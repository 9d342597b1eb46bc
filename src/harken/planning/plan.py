"""Prints the memory that a recipe needs, and refuses a run that would not fit its card before anything is loaded."""

import torch
from rich.console import Console
from rich.table import Table

from harken.config import GrpoConfig, Recipe, SftConfig
from harken.errors import ConfigError
from harken.models.loading import pick_device
from harken.planning.memory_items import GIB, RESERVE, MemoryPlan
from harken.planning.shapes import Shape, shape_of
from harken.planning.ways_to_fit import plan_of, ways_to_fit


def refuse_what_does_not_fit(recipe: Recipe, settings: GrpoConfig | SftConfig, gpus: int = 1) -> None:
    """Raise ConfigError where the recipe's device, one of `gpus`, is a CUDA card that is too small for the run."""
    device = pick_device(recipe.model.device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        check(recipe, settings, shape_of(recipe.model.path), free, gpus)


def check(recipe: Recipe, settings: GrpoConfig | SftConfig, shape: Shape, free: int, gpus: int = 1) -> None:
    """Raise ConfigError where the run needs more than `free` bytes."""
    needed = plan_of(recipe, settings, shape, gpus=gpus).peak + RESERVE
    if needed <= free:
        return
    lines = [
        f"not enough memory: about {needed / GIB:.1f} GiB are needed and {free / GIB:.1f} GiB are free (`harken plan` "
        "prints what needs them)"
    ]
    ways = ways_to_fit(recipe, shape, free, gpus=gpus) if isinstance(settings, GrpoConfig) else []
    lines += [f"  fits, {way.peak / GIB:.1f} GiB: {way}" for way in ways]
    raise ConfigError("\n".join(lines))


def print_plan(recipe: Recipe, card_gib: float, gpus: int, clip_s: float, console: Console) -> bool:
    """Print the memory of `harken train` with this recipe, and ways to fit where it does not fit.

    Returns whether it fits.
    """
    shape = shape_of(recipe.model.path)
    plan = plan_of(recipe, recipe.grpo, shape, clip_s, gpus)
    shared = "" if gpus == 1 else f", one of {gpus} cards"
    console.print(_table(f"{recipe.name}: {recipe.model.path}{shared}", plan))
    fits = plan.peak + RESERVE <= card_gib * GIB
    verdict = "fits" if fits else "does not fit"
    reserve = f"{RESERVE / GIB:.1f} GiB kept free for CUDA itself"
    console.print(f"{verdict} a card of {card_gib:g} GiB ({reserve})", highlight=False)
    if fits:
        return True
    ways = ways_to_fit(recipe, shape, int(card_gib * GIB), clip_s, gpus)
    for way in ways:
        console.print(f"fits, {way.peak / GIB:.1f} GiB: {way}", highlight=False, markup=False, soft_wrap=True)
    if not ways:
        console.print("no setting known here fits: more cards, a smaller model, shorter completions", highlight=False)
    return False


def _table(title: str, plan: MemoryPlan) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("", "card, GiB", "host, GiB"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    table.add_column("of what")
    for heading, items in (("always", plan.held), ("in a rollout", plan.rollout), ("in training", plan.training)):
        table.add_section()
        table.add_row(f"[bold]{heading}[/]")
        for item in items:
            table.add_row(f"  {item.name}", _gib(item.device), _gib(item.host), item.about)
    table.add_section()
    table.add_row("peak", f"{plan.peak / GIB:.2f}", f"{plan.host / GIB:.2f}", "the larger of rollout and training")
    return table


def _gib(size: int) -> str:
    return f"{size / GIB:.2f}" if size else ""
