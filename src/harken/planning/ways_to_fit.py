"""Searches changes to a recipe under which GRPO fits a card, and is fastest.

Nothing is changed here: every change gives something up, and only the user knows what a run can do without.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import yaml
from pydantic import ValidationError

from harken.config import GrpoConfig, Recipe, SftConfig, set_key
from harken.planning.cards import Card
from harken.planning.largest_sizes import rollout_tokens_that_fit, tokens_that_fit
from harken.planning.memory import plan_memory
from harken.planning.memory_items import RESERVE, MemoryPlan
from harken.planning.planned_run import PlannedRun
from harken.planning.shapes import Shape
from harken.planning.step_time import TimeItem, resampling, step_time

CLIP_S = 10.0
TEXT_TOKENS = 70
"""Tokens of a question with four choices in the chat template; with 10 s of audio a prompt has 320."""

MIXED = {"model.precision": "bf16_mixed"}
SPEED, GRADIENT_BITS, PRECISION, FULL_TRAINING = range(4)
"""What changes give up, in the order in which a user would: speed alone; 16 bits of the gradients; the precision of
weights, moments or reference, or the clipping of the gradient's norm; full fine-tuning."""
GIVEN_UP = ("speed alone", "16 bits of gradients", "precision (docs/memory.md)", "full fine-tuning")
ALTERNATIVES: tuple[tuple[tuple[int, dict[str, Any]], ...], ...] = (
    ((SPEED, {}), (SPEED, {"model.gradient_checkpointing": True}), (SPEED, {"model.gradient_checkpointing": False})),
    ((SPEED, {}), (SPEED, {"grpo.tokens_per_micro_batch": None, "memory.rollout_rows": None})),
    (
        (SPEED, {}),
        (GRADIENT_BITS, {**MIXED, "memory.weights": "bf16_corrected"}),
        (PRECISION, {**MIXED, "memory.weights": "bf16_stochastic"}),
    ),
    ((SPEED, {}), (SPEED, {"memory.reference": "streamed"}), (PRECISION, {"memory.reference": "int8"})),
    ((SPEED, {}), (SPEED, {"memory.optimizer": "offloaded"}), (PRECISION, {"memory.optimizer": "adamw_8bit"})),
    ((SPEED, {}), (PRECISION, {"memory.step_in_backward": True, "grpo.max_grad_norm": None})),
)
"""One of each row is chosen, with what it gives up."""
ADAPTERS = {
    **MIXED,
    "model.lora": {"rank": 8, "alpha": 32},
    "model.train_audio_tower": False,
    "model.train_projector": False,
    "model.frozen_dtype": "bfloat16",
}


@dataclass(frozen=True, slots=True)
class Way:
    """Changes to a recipe.

    Attributes:
        changes: dotted key -> value.
        peak: bytes on the card with them.
        step_s: seconds of a step with them.
        gives_up: an index of GIVEN_UP.
    """

    changes: dict[str, Any]
    peak: int
    step_s: float
    gives_up: int

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
    prompt_tokens = TEXT_TOKENS + round(shape.heard_s(clip_s) * shape.tokens_per_s)
    return PlannedRun(recipe, settings, shape, prompt_tokens, clip_s, gpus)


def ways_to_fit(
    recipe: Recipe, shape: Shape, card: Card, card_bytes: int, clip_s: float = CLIP_S, gpus: int = 1
) -> list[Way]:
    """The fastest changes under which GRPO fits a card of so many bytes, one for each of GIVEN_UP that is faster than
    those that give up less; the fastest first."""
    fastest: dict[int, Way] = {}
    for gives_up, changes in _all_changes(recipe):
        changed = _changed(recipe, changes)
        if changed is None or changed.memory.refusal(changed.grpo, gpus) is not None:
            continue
        peak = plan_of(changed, changed.grpo, shape, clip_s, gpus).peak
        if peak + RESERVE > card_bytes:
            continue
        seconds = step_seconds(changed, shape, card, card_bytes, clip_s, gpus)
        way = Way(changes, peak, seconds, gives_up)
        best = fastest.get(gives_up)
        if best is None or (seconds, len(changes), peak) < (best.step_s, len(best.changes), best.peak):
            fastest[gives_up] = way
    ways = [fastest[level] for level in sorted(fastest)]
    worthwhile = [way for i, way in enumerate(ways) if all(way.step_s < less.step_s for less in ways[:i])]
    return sorted(worthwhile, key=lambda way: way.step_s)


@dataclass(frozen=True, slots=True)
class PlannedTime:
    """A run of GRPO, the parts of one of its steps where micro-batches and rollouts are as large as the card allows,
    and what resampling adds to a step at most."""

    run: PlannedRun
    items: list[TimeItem]
    resampling: list[TimeItem]


def time_of(
    recipe: Recipe, shape: Shape, card: Card, card_bytes: int, clip_s: float = CLIP_S, gpus: int = 1
) -> PlannedTime:
    """The time of a run's steps on a card."""
    run = planned_run(recipe, recipe.grpo, shape, clip_s, gpus)
    tokens, rows = recipe.grpo.tokens_per_micro_batch, recipe.memory.rollout_rows
    if tokens is None and not recipe.memory.step_in_backward:
        tokens = tokens_that_fit(run, card_bytes)
    if rows is None:
        width = run.prompt_tokens + run.completion_tokens
        rows = max(run.completions_per_prompt, (rollout_tokens_that_fit(run, card_bytes) or 0) // width)
    prompts = run.prompts_per_card if tokens is None else max(1, min(run.prompts_per_card, tokens // run.packed_tokens))
    return PlannedTime(run, step_time(run, card, rows, prompts), resampling(run, card, rows, prompts))


def step_seconds(
    recipe: Recipe, shape: Shape, card: Card, card_bytes: int, clip_s: float = CLIP_S, gpus: int = 1
) -> float:
    """Seconds of a step that replaces no prompts."""
    return sum(item.seconds for item in time_of(recipe, shape, card, card_bytes, clip_s, gpus).items)


def _all_changes(recipe: Recipe) -> Iterator[tuple[int, dict[str, Any]]]:
    """All combinations of ALTERNATIVES, and adapters, each with what it gives up; without what the recipe has
    already."""
    choices: list[tuple[int, dict[str, Any]]] = []
    for combination in product(*ALTERNATIVES):
        merged: dict[str, Any] = {}
        for _, changes in combination:
            merged |= changes
        if merged.get("memory.step_in_backward"):
            merged["grpo.tokens_per_micro_batch"] = None
        choices.append((max(level for level, _ in combination), merged))
    for _, changes in ALTERNATIVES[0]:
        choices.append((FULL_TRAINING, ADAPTERS | changes))
    values = recipe.model_dump(mode="json")
    for level, changes in choices:
        yield level, {key: value for key, value in changes.items() if _value_at(values, key) != value}


def _value_at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values[part]
    return values


def _changed(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe | None:
    """The recipe with the changes; None where it refuses them, as two that exclude each other."""
    values = recipe.model_dump(mode="json")
    for key, value in changes.items():
        set_key(values, key, value, "plan")
    try:
        return Recipe.model_validate(values)
    except ValidationError:
        return None


def _shell_yaml(value: Any) -> str:
    """A value as `--set` reads it, quoted for a shell."""
    text = yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
    return f"'{text}'" if " " in text else text
