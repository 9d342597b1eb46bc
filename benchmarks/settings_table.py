"""Writes docs/settings.md from the recipes: every setting of every row of both papers, with its source.

    python benchmarks/settings_table.py

Values come from the resolved recipes. SOURCES has a line with the source of each value; a value that no line fits is an
error, so a changed recipe needs a source.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from harken.config import EvaluationRecipe, Recipe, load_any_recipe, load_recipe, read_values
from harken.config.builtin_recipes import about, builtin_recipes
from harken.planning.cards import CARDS
from harken.planning.memory_items import GIB
from harken.planning.shapes import shape_of
from harken.planning.ways_to_fit import step_seconds
from harken.system.files import write_text
from plan_tables import full_training
from recipes_table import table
from setting_sources import SOURCES, Source

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
OURS = ("Ours, no row of the paper", "Real recordings on a CPU")
"""First words of recipes that stand for no published row."""
READING = "another reading"
"""These words stand in the first lines of a recipe that interprets the paper's text on a row in another way."""
BATCHES = ("audio_thinker_model_f", "audio_thinker_model_f_2_prompts")
MACHINES = (("h100", 1), ("h100", 8))


@dataclass(frozen=True, slots=True)
class Part:
    """One table of the page: its heading, its recipes, and its keys in the order of the table."""

    heading: str
    recipes: Mapping[str, Recipe | EvaluationRecipe]
    keys: tuple[str, ...]


@cache
def parts() -> list[Part]:
    """The tables, with every recipe of a row of one of the papers, and every other reading of a row; not ours."""
    trained: dict[str, Recipe] = {}
    evaluated: dict[str, EvaluationRecipe] = {}
    for name, file in builtin_recipes().items():
        if "name" not in read_values(file) or about(file)[0].startswith(OURS):
            continue
        recipe = load_any_recipe(file)
        if isinstance(recipe, EvaluationRecipe):
            evaluated[name] = recipe
        elif isinstance(recipe, Recipe) and (recipe.published or READING in about(file)[0]):
            trained[name] = recipe
    supervised = {name for name in trained if "sft" in name}
    grpo = {name: recipe for name, recipe in trained.items() if name not in supervised}
    omni = {name for name in grpo if name.startswith("omni_r1")}
    return [
        Part("Omni-R1, rows trained with GRPO", _only(grpo, omni), (*_SHARED, *_GRPO)),
        Part("Audio-Thinker, rows trained with GRPO", _only(grpo, grpo.keys() - omni), (*_SHARED, *_GRPO)),
        Part("Audio-Thinker, rows trained with SFT", _only(trained, supervised), (*_SHARED, *_SFT)),
        Part("Rows that are evaluated as they are", evaluated, _EVALUATED),
    ]


_SHARED = ("model.path", "model.train", "data.train", "prompt.style")
_GRPO = (
    *("reward", "judge", "data.order", "grpo.steps", "grpo.prompts_per_step", "grpo.completions_per_prompt"),
    *("grpo.temperature", "grpo.top_k", "grpo.top_p", "grpo.max_completion_tokens", "grpo.learning_rate"),
    *("grpo.schedule", "grpo.warmup_share", "grpo.betas", "grpo.weight_decay", "grpo.max_grad_norm", "grpo.beta"),
    *("grpo.clip_low", "grpo.clip_high", "grpo.num_iterations", "grpo.normalization", "grpo.scale_rewards"),
    *("grpo.temperature_in_loss", "grpo.mask_truncated"),
)
_SFT = tuple(
    f"sft.{key}"
    for key in ("epochs", "prompts_per_step", "learning_rate", "schedule", "warmup_share", "betas", "weight_decay")
)
_EVALUATED = ("model", "prompt.style", "temperature", "max_completion_tokens")


def value_of(recipe: Recipe | EvaluationRecipe, key: str) -> str:
    """A setting as the table shows it. Some keys of the table stand for several of the recipe."""
    values = recipe.model_dump(mode="json")
    match key:
        case "model.train":
            trained = [
                name for name in ("language_model", "audio_tower", "projector") if values["model"][f"train_{name}"]
            ]
            return "adapters" if values["model"]["lora"] else "everything" if len(trained) == 3 else ", ".join(trained)
        case "data.train":
            return ", ".join(
                Path(source["file"]).parent.name + (" without clips" if source["audio"] == "none" else "")
                for source in values["data"]["train"]
            )
        case "reward":
            consistency = (values["reward"]["adaptive"] or {}).get("consistency")
            return " + ".join(_part_text(part, consistency) for part in values["reward"]["parts"])
        case "judge":
            return values["judge"]["endpoint"]["model"] if values["judge"] else "none"
    value: Any = values
    for name in key.split("."):
        value = value[name]
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _part_text(part: Mapping[str, Any], consistency: str | None) -> str:
    weight = "" if part["weight"] == 1 else f"{part['weight']} "
    judged = consistency and part["name"] == "adaptive"
    return weight + part["name"] + (f" (consistency: {consistency})" if judged else "")


def source_of(name: str, key: str, value: str) -> Source:
    """The first line of SOURCES that fits a recipe's value. Raises ValueError where none does."""
    for source in SOURCES:
        if source.key == key and source.value in (value, None) and name.startswith(source.rows):
            return source
    raise ValueError(f"{name}: {key}: {value} has no source: add it to benchmarks/setting_sources.py")


def lines_of(part: Part) -> list[tuple[str, ...]]:
    """(setting, value, mark, source, rows) for each value of each key, with the rows that have it."""
    lines = []
    for key in part.keys:
        rows: dict[tuple[str, str, str], list[str]] = {}
        for name, recipe in part.recipes.items():
            value = value_of(recipe, key)
            source = source_of(name, key, value)
            rows.setdefault((value, source.mark, source.text), []).append(name)
        lines += [
            (f"`{key}`" if i == 0 else "", f"{value}", f"[{mark}]", text, _names(names, part.recipes))
            for i, ((value, mark, text), names) in enumerate(rows.items())
        ]
    return lines


def batch_costs() -> list[tuple[str, ...]]:
    """The cost of both readings of Audio-Thinker's batch of 16, as 16 prompts and as 2, as `harken plan` computes it.

    A line has (recipe, prompts x completions, cards, settings, seconds of a step, GPU hours of a run).
    """
    lines = []
    for name in BATCHES:
        recipe = load_recipe(builtin_recipes()[name])
        grpo, shape = recipe.grpo, shape_of(recipe.model.path)
        size = f"{grpo.prompts_per_step} x {grpo.completions_per_prompt}"
        for card, gpus in MACHINES:
            way = full_training(recipe, card, gpus)[-1]
            hours = way.step_s * grpo.steps * gpus / 3600
            memory = int(CARDS[card].memory_gib * GIB)
            seconds = way.step_s if way.changes else step_seconds(recipe, shape, CARDS[card], memory, gpus=gpus)
            settings = f"`{str(way).replace('--set ', '')}`" if way.changes else "as the recipe is"
            machine = f"{gpus} x {CARDS[card].name}"
            lines.append((f"`{name}`", size, machine, settings, f"{seconds:.1f}", f"{hours:.1f}"))
    return lines


def page() -> str:
    """The whole page."""
    text = Path(__file__).with_suffix(".md.j2").read_text(encoding="utf-8")
    head = ("setting", "value", "whose", "source", "recipes")
    return jinja2.Template(text, undefined=jinja2.StrictUndefined, keep_trailing_newline=True).render(
        parts=[(part.heading, table(head, lines_of(part))) for part in parts()],
        batches=table(("recipe", "prompts x completions", "cards", "settings", "s a step", "GPU hours"), batch_costs()),
    )


def _only(recipes: Mapping[str, Recipe], names: set[str]) -> dict[str, Recipe]:
    return {name: recipe for name, recipe in recipes.items() if name in names}


def _names(names: Sequence[str], recipes: Mapping[str, Any]) -> str:
    """The recipes that have a value, or all but a few."""
    if len(names) == len(recipes):
        return "all"
    rest = [name for name in recipes if name not in names]
    shown = [f"`{name}`" for name in (rest if len(rest) < len(names) else names)]
    return ("all but " if len(rest) < len(names) else "") + ", ".join(shown)


if __name__ == "__main__":
    write_text(PAGE, page())
