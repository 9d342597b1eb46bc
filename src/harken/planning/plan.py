"""Prints memory and time that a recipe needs, and refuses a run that would not fit before it is loaded."""

import torch
from rich.console import Console

from harken.config import GrpoConfig, Recipe, SftConfig
from harken.errors import ConfigError
from harken.models.loading import pick_device
from harken.planning.cards import Card, card_for
from harken.planning.memory_items import GIB, RESERVE, MemoryPlan
from harken.planning.shapes import Shape, shape_of
from harken.planning.step_time import TimeItem, gpu_hours
from harken.planning.ways_to_fit import GIVEN_UP, PlannedTime, Way, plan_of, step_seconds, time_of, ways_to_fit
from harken.system.fitting_table import FittingTable

FASTER = 0.9
"""Where a recipe fits, the plan names the ways that take at most this share of its time."""


def refuse_what_does_not_fit(recipe: Recipe, settings: GrpoConfig | SftConfig, gpus: int = 1) -> None:
    """Raise ConfigError where the recipe's device, one of `gpus`, is a CUDA card that is too small for the run."""
    device = pick_device(recipe.model.device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        shape = shape_of(recipe.model.path, recipe.model.architecture)
        check(recipe, settings, shape, free, gpus)


def check(recipe: Recipe, settings: GrpoConfig | SftConfig, shape: Shape, free: int, gpus: int = 1) -> None:
    """Raise ConfigError where the run needs more than `free` bytes."""
    needed = plan_of(recipe, settings, shape, gpus=gpus).peak + RESERVE
    if needed <= free:
        return
    lines = [
        f"not enough memory: about {needed / GIB:.1f} GiB are needed and {free / GIB:.1f} GiB are free (`harken plan` "
        "prints what needs them)"
    ]
    card = card_for(None, free / GIB)
    ways = ways_to_fit(recipe, shape, card, free, gpus=gpus) if isinstance(settings, GrpoConfig) else []
    lines += [f"  fits, {way.peak / GIB:.1f} GiB: {way}" for way in ways]
    raise ConfigError("\n".join(lines))


def print_plan(recipe: Recipe, card: Card, card_gib: float, gpus: int, clip_s: float, console: Console) -> bool:
    """Print the memory and the time of `harken train` with this recipe, and the fastest ways to fit where it does not
    fit.

    Returns whether it fits.
    """
    shape, size = shape_of(recipe.model.path, recipe.model.architecture), int(card_gib * GIB)
    plan = plan_of(recipe, recipe.grpo, shape, clip_s, gpus)
    shared = "" if gpus == 1 else f", one of {gpus} cards"
    console.print(_memory_table(f"{recipe.name}: {recipe.model.path}{shared}", plan, gpus))
    fits = plan.peak + RESERVE <= size
    verdict = "fits" if fits else "does not fit"
    reserve = f"{RESERVE / GIB:.1f} GiB kept free for CUDA itself"
    console.print(f"{verdict} a card of {card_gib:g} GiB ({reserve})", highlight=False)
    if fits:
        console.print(_time_table(time_of(recipe, shape, card, size, clip_s, gpus), card))
    ways = ways_to_fit(recipe, shape, card, size, clip_s, gpus)
    now_s = step_seconds(recipe, shape, card, size, clip_s, gpus) if fits else float("inf")
    for way in ways:
        if way.changes and way.step_s < FASTER * now_s:
            word = "faster" if fits else "fits"
            console.print(f"{word}, {_price(recipe, way, gpus)}: {way}", highlight=False, markup=False, soft_wrap=True)
    if not fits and not ways:
        console.print("no setting known here fits: more cards, a smaller model, shorter completions", highlight=False)
    return fits


def _price(recipe: Recipe, way: Way, gpus: int) -> str:
    hours = way.step_s * recipe.grpo.steps * gpus / 3600
    return (
        f"{way.peak / GIB:.1f} GiB, {way.step_s:.1f} s a step, {hours:.0f} GPU hours, gives up {GIVEN_UP[way.gives_up]}"
    )


def _memory_table(title: str, plan: MemoryPlan, gpus: int) -> FittingTable:
    table = FittingTable(title=title, title_justify="left")
    for name in ("", "card, GiB", "host, GiB"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    table.add_column("of what")
    parts = {
        "always": plan.held,
        "in a rollout": plan.rollout,
        "in training": plan.training,
        "while loading": plan.loading,
    }
    for heading, items in parts.items():
        table.add_section()
        table.add_row(f"[bold]{heading}[/]")
        for item in items:
            table.add_row(f"  {item.name}", _gib(item.device), _gib(item.host), item.about)
    table.add_section()
    about = "card: the larger of rollout and training; host: of loading and running" + (
        "" if gpus == 1 else f", for {gpus} cards in one machine"
    )
    table.add_row("peak", f"{plan.peak / GIB:.2f}", f"{plan.host(gpus) / GIB:.2f}", about)
    return table


def _time_table(planned: PlannedTime, card: Card) -> FittingTable:
    """Seconds of a step and GPU hours of the recipe, with the longest completions; below them with as much resampling
    as the recipe allows."""
    run, steps = planned.run, planned.run.settings.steps
    table = FittingTable(title=f"a step on {run.gpus} x {card.name}, by arithmetic", title_justify="left")
    table.add_column("", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("of what")
    counted: list[TimeItem] = []
    for name, items in (("a step", planned.items), ("a step, up to", planned.resampling)):
        if not items:
            continue
        counted += items
        for item in items:
            table.add_row(item.name, f"{item.seconds:.2f}", item.about)
        table.add_section()
        seconds, hours = sum(item.seconds for item in counted), gpu_hours(run, counted)
        table.add_row(name, f"{seconds:.2f}", f"{steps} steps: {hours:.1f} GPU hours")
        table.add_section()
    return table


def _gib(size: int) -> str:
    return f"{size / GIB:.2f}" if size else ""
