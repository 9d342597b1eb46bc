"""Does a recipe fit a card, and if not, which settings would?

Takes a recipe, gives its account, and changes to it, the least costly first, whose account fits. Not taken: changing a
recipe by itself; every change drops something, and which of it a run can do without is not known here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
import yaml
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from harken.config import GrpoConfig, Recipe, SftConfig, set_key
from harken.errors import ConfigError
from harken.models.loading import pick_device
from harken.planning.memory import AUDIO_POSITIONS_PER_S, GIB, RESERVE, Account, Shape, account
from harken.planning.shapes import shape_of

CLIP_S = 10.0
TEXT_TOKENS = 70
"""Of a question with four choices in the chat template: 10 s of audio and this make 320 tokens."""

MIXED = {"model.precision": "bf16_mixed"}
WAYS: tuple[tuple[tuple[int, dict[str, Any]], ...], ...] = (
    ((0, {}), (1, {"model.gradient_checkpointing": True})),
    ((0, {}), (1, {"grpo.prompts_per_micro_batch": 1})),
    (
        (0, {}),
        (2, {**MIXED, "memory.weights": "bf16_corrected"}),
        (4, {**MIXED, "memory.weights": "bf16_stochastic"}),
    ),
    ((0, {}), (2, {"memory.reference": "streamed"}), (5, {"memory.reference": "int8"})),
    ((0, {}), (3, {"memory.optimizer": "adamw_8bit"}), (5, {"memory.optimizer": "offloaded"})),
    ((0, {}), (3, {"memory.step_in_backward": True, "grpo.max_grad_norm": None})),
)
"""Changes to choose among, one of each row, with what they cost: a rough order of what is dropped, not measured."""
ADAPTERS = (15, {**MIXED, "model.lora": {"rank": 8, "alpha": 32}, "model.frozen_dtype": "bfloat16"})
NAMED = 3
"""Ways that are shown."""


@dataclass(frozen=True, slots=True)
class Way:
    """Changes to a recipe, dotted key -> value, and the bytes on the card with them."""

    changes: dict[str, Any]
    peak: int

    def __str__(self) -> str:
        words = (f"--set {key}={_yaml(value)}" for key, value in self.changes.items())
        return " ".join(words)


def account_of(
    recipe: Recipe, settings: GrpoConfig | SftConfig, shape: Shape, clip_s: float = CLIP_S, gpus: int = 1
) -> Account:
    seconds = shape.window_s or clip_s
    tokens = TEXT_TOKENS + round(min(seconds, clip_s) * AUDIO_POSITIONS_PER_S / 2)
    return account(recipe, settings, shape, prompt_tokens=tokens, clip_s=clip_s, gpus=gpus)


def ways_to_fit(recipe: Recipe, shape: Shape, card: int, clip_s: float = CLIP_S, gpus: int = 1) -> list[Way]:
    """The least costly changes under which GRPO fits a card of so many bytes."""
    found: list[Way] = []
    for changes in _changes(recipe):
        changed = _changed(recipe, changes)
        if changed is None or changed.memory.refusal(changed.grpo, gpus) is not None:
            continue
        peak = account_of(changed, changed.grpo, shape, clip_s, gpus).peak
        # One that changes as much as a cheaper one, and more, has to be worth it.
        worse = any(way.changes.keys() <= changes.keys() and way.peak <= peak for way in found)
        if peak + RESERVE <= card and not worse:
            found.append(Way(changes, peak))
            if len(found) == NAMED:
                break
    return found


def _changes(recipe: Recipe) -> Iterator[dict[str, Any]]:
    """All combinations, the least costly first."""
    chosen: list[tuple[int, dict[str, Any]]] = []
    for parts in product(*WAYS):
        merged: dict[str, Any] = {}
        for _, part in parts:
            merged |= part
        if merged.get("memory.step_in_backward"):
            merged["grpo.prompts_per_micro_batch"] = recipe.grpo.prompts_per_step
        chosen.append((sum(cost for cost, _ in parts), merged))
    for checkpointing in WAYS[0]:
        chosen.append((ADAPTERS[0] + checkpointing[0], ADAPTERS[1] | checkpointing[1]))
    values = recipe.model_dump(mode="json")
    for _, changes in sorted(chosen, key=lambda pair: pair[0]):
        yield {key: value for key, value in changes.items() if _at(values, key) != value}


def _at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values[part]
    return values


def _changed(recipe: Recipe, changes: dict[str, Any]) -> Recipe | None:
    """None where the recipe refuses the changes, as two that exclude each other."""
    values = recipe.model_dump(mode="json")
    for key, value in changes.items():
        set_key(values, key, value, "plan")
    if isinstance(changes.get("model.lora"), dict):
        values["model"] |= {"train_audio_tower": False, "train_projector": False}
    try:
        return Recipe.model_validate(values)
    except ValidationError:
        return None


def _yaml(value: Any) -> str:
    """As `--set` reads it, quoted for a shell."""
    text = yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
    return f"'{text}'" if " " in text else text


def refuse_what_does_not_fit(recipe: Recipe, settings: GrpoConfig | SftConfig, gpus: int = 1) -> None:
    """Raise ConfigError before anything is loaded where the recipe's device, one of so many, is a CUDA card too small
    for it."""
    device = pick_device(recipe.model.device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        check(recipe, settings, shape_of(recipe.model.path), free, gpus)


def check(recipe: Recipe, settings: GrpoConfig | SftConfig, shape: Shape, free: int, gpus: int = 1) -> None:
    """Raise ConfigError where the account is over `free` bytes."""
    needed = account_of(recipe, settings, shape, gpus=gpus).peak + RESERVE
    if needed <= free:
        return
    lines = [
        f"not enough memory: about {needed / GIB:.1f} GiB are needed and {free / GIB:.1f} GiB are free (`harken plan` "
        "prints the account)"
    ]
    ways = ways_to_fit(recipe, shape, free, gpus=gpus) if isinstance(settings, GrpoConfig) else []
    lines += [f"  fits, {way.peak / GIB:.1f} GiB: {way}" for way in ways]
    raise ConfigError("\n".join(lines))


def print_plan(recipe: Recipe, card_gib: float, gpus: int, clip_s: float, console: Console) -> bool:
    """The account of `harken train` with this recipe, and ways to fit where it does not. Returns whether it fits."""
    shape = shape_of(recipe.model.path)
    found = account_of(recipe, recipe.grpo, shape, clip_s, gpus)
    spread = "" if gpus == 1 else f", one of {gpus} cards"
    table = Table(title=f"{recipe.name}: {recipe.model.path}{spread}", title_justify="left")
    for name in ("", "card, GiB", "host, GiB"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    table.add_column("of what")
    for title, lines in (("always", found.held), ("in a rollout", found.rollout), ("in training", found.training)):
        table.add_section()
        table.add_row(f"[bold]{title}[/]")
        for line in lines:
            table.add_row(f"  {line.name}", _gib(line.device), _gib(line.host), line.about)
    table.add_section()
    table.add_row("peak", f"{found.peak / GIB:.2f}", f"{found.host / GIB:.2f}", "the larger of rollout and training")
    console.print(table)
    fits = found.peak + RESERVE <= card_gib * GIB
    reserve = f"{RESERVE / GIB:.1f} GiB kept free for CUDA itself"
    if fits:
        console.print(f"fits a card of {card_gib:g} GiB ({reserve})", highlight=False)
        return True
    console.print(f"does not fit a card of {card_gib:g} GiB ({reserve})", highlight=False)
    ways = ways_to_fit(recipe, shape, int(card_gib * GIB), clip_s, gpus)
    for way in ways:
        console.print(f"fits, {way.peak / GIB:.1f} GiB: {way}", highlight=False, markup=False, soft_wrap=True)
    if not ways:
        console.print("no setting known here fits: more cards, a smaller model, shorter completions", highlight=False)
    return False


def _gib(size: int) -> str:
    return f"{size / GIB:.2f}" if size else ""
