"""Searches changes to a recipe under which GRPO fits a card, the least costly first.

Nothing is changed here: every change gives something up, and only the user knows what a run can do without.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import yaml
from pydantic import ValidationError

from harken.config import GrpoConfig, Recipe, SftConfig, set_key
from harken.planning.memory import plan_memory
from harken.planning.memory_items import RESERVE, MemoryPlan
from harken.planning.planned_run import AUDIO_POSITIONS_PER_S, PlannedRun
from harken.planning.shapes import Shape

CLIP_S = 10.0
TEXT_TOKENS = 70
"""Tokens of a question with four choices in the chat template; with 10 s of audio a prompt has 320."""
POSITIONS_PER_TOKEN = 2
"""Positions of an audio tower that become one token of the prompt: every tower pools two."""

MIXED = {"model.precision": "bf16_mixed"}
ALTERNATIVES: tuple[tuple[tuple[int, dict[str, Any]], ...], ...] = (
    ((0, {}), (1, {"model.gradient_checkpointing": True})),
    ((0, {}), (1, {"grpo.tokens_per_micro_batch": None, "memory.rollout_rows": None})),
    (
        (0, {}),
        (2, {**MIXED, "memory.weights": "bf16_corrected"}),
        (4, {**MIXED, "memory.weights": "bf16_stochastic"}),
    ),
    ((0, {}), (2, {"memory.reference": "streamed"}), (5, {"memory.reference": "int8"})),
    ((0, {}), (3, {"memory.optimizer": "adamw_8bit"}), (5, {"memory.optimizer": "offloaded"})),
    ((0, {}), (3, {"memory.step_in_backward": True, "grpo.max_grad_norm": None})),
)
"""One of each row is chosen. The numbers are costs: a rough order of how much a change gives up, not measured."""
ADAPTERS = (15, {**MIXED, "model.lora": {"rank": 8, "alpha": 32}, "model.frozen_dtype": "bfloat16"})
SHOWN = 3
"""Ways that are shown."""


@dataclass(frozen=True, slots=True)
class Way:
    """Changes to a recipe, dotted key -> value, and the bytes on the card with them."""

    changes: dict[str, Any]
    peak: int

    def __str__(self) -> str:
        """The changes as options of a command."""
        return " ".join(f"--set {key}={_shell_yaml(value)}" for key, value in self.changes.items())


def plan_of(
    recipe: Recipe, settings: GrpoConfig | SftConfig, shape: Shape, clip_s: float = CLIP_S, gpus: int = 1
) -> MemoryPlan:
    """The memory of a run with prompts of a usual length on clips of `clip_s` seconds."""
    return plan_memory(planned_run(recipe, settings, shape, clip_s, gpus))


def planned_run(
    recipe: Recipe, settings: GrpoConfig | SftConfig, shape: Shape, clip_s: float = CLIP_S, gpus: int = 1
) -> PlannedRun:
    """A run with prompts of a usual length on clips of `clip_s` seconds."""
    heard_s = min(shape.window_s or clip_s, clip_s)
    prompt_tokens = TEXT_TOKENS + round(heard_s * AUDIO_POSITIONS_PER_S / POSITIONS_PER_TOKEN)
    return PlannedRun(recipe, settings, shape, prompt_tokens, clip_s, gpus)


def ways_to_fit(recipe: Recipe, shape: Shape, card_bytes: int, clip_s: float = CLIP_S, gpus: int = 1) -> list[Way]:
    """The least costly changes under which GRPO fits a card of so many bytes."""
    ways: list[Way] = []
    for changes in _changes_by_cost(recipe):
        changed = _changed(recipe, changes)
        if changed is None or changed.memory.refusal(changed.grpo, gpus) is not None:
            continue
        peak = plan_of(changed, changed.grpo, shape, clip_s, gpus).peak
        # A way that changes as much as a cheaper one, and more, has to save more memory.
        is_worse = any(way.changes.keys() <= changes.keys() and way.peak <= peak for way in ways)
        if peak + RESERVE <= card_bytes and not is_worse:
            ways.append(Way(changes, peak))
            if len(ways) == SHOWN:
                break
    return ways


def _changes_by_cost(recipe: Recipe) -> Iterator[dict[str, Any]]:
    """All combinations of ALTERNATIVES, and adapters, the least costly first; without what the recipe has already."""
    choices: list[tuple[int, dict[str, Any]]] = []
    for combination in product(*ALTERNATIVES):
        merged: dict[str, Any] = {}
        for _, changes in combination:
            merged |= changes
        if merged.get("memory.step_in_backward"):
            merged["grpo.tokens_per_micro_batch"] = None
        choices.append((sum(cost for cost, _ in combination), merged))
    for cost, changes in ALTERNATIVES[0]:
        choices.append((ADAPTERS[0] + cost, ADAPTERS[1] | changes))
    values = recipe.model_dump(mode="json")
    for _, changes in sorted(choices, key=lambda choice: choice[0]):
        yield {key: value for key, value in changes.items() if _value_at(values, key) != value}


def _value_at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values[part]
    return values


def _changed(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe | None:
    """The recipe with the changes; None where it refuses them, as two that exclude each other."""
    values = recipe.model_dump(mode="json")
    for key, value in changes.items():
        set_key(values, key, value, "plan")
    if isinstance(changes.get("model.lora"), dict):
        values["model"] |= {"train_audio_tower": False, "train_projector": False}
    try:
        return Recipe.model_validate(values)
    except ValidationError:
        return None


def _shell_yaml(value: Any) -> str:
    """A value as `--set` reads it, quoted for a shell."""
    text = yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
    return f"'{text}'" if " " in text else text
