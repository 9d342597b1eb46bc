"""Writes what `harken plan` computes for full fine-tuning of the 7B model into docs/hardware.md and docs/memory.md.

    python benchmarks/plan_tables.py

Everything is arithmetic: settings with which GRPO fits, seconds of a step and GPU hours on four machines, and the items
of the account for one card of 48 GiB.
"""

from collections.abc import Sequence
from pathlib import Path

from harken.config import Recipe, apply_override, load_recipe
from harken.config.builtin_recipes import builtin_recipes
from harken.planning.cards import CARDS
from harken.planning.memory_items import GIB, RESERVE
from harken.planning.plan import FASTER
from harken.planning.shapes import shape_of
from harken.planning.ways_to_fit import CLIP_S, FULL_TRAINING, GIVEN_UP, Way, plan_of, step_seconds, ways_to_fit
from harken.system.files import write_text
from marked_page import between_marks

DOCS = Path(__file__).parents[1] / "docs"
HARDWARE, MEMORY = DOCS / "hardware.md", DOCS / "memory.md"
BEGIN, END = "<!-- written by benchmarks/plan_tables.py -->", "<!-- end of it -->"
RECIPES = ("omni_r1_avqa", "audio_thinker_model_f")
MACHINES = (("a6000", 1), ("h100", 1), ("a6000", 4), ("h100", 8))
"""(card, number of cards): 48 and 80 GiB alone, the four cards of Omni-R1, eight of 80 GiB."""
SMALL_CARD = (
    *("grpo.completions_per_prompt=8", "grpo.max_completion_tokens=16", "memory.rollout_rows=64"),
    *("grpo.max_grad_norm=null", "memory.weights=bf16_stochastic", "memory.optimizer=adamw_8bit"),
    *("memory.step_in_backward=true", "memory.reference=streamed"),
)
"""Settings of the example in docs/memory.md, on one card of 48 GiB."""


def prices() -> str:
    """For each recipe and machine the ways to train all weights that `harken plan` proposes, as Markdown."""
    head = ("recipe", "cards", "settings", "gives up", "card, GiB", "s a step", "GPU hours")
    rows = []
    for name in RECIPES:
        recipe = load_recipe(builtin_recipes()[name])
        for card, gpus in MACHINES:
            for way in full_training(recipe, card, gpus):
                settings = "as the recipe is" if not way.changes else f"`{str(way).replace('--set ', '')}`"
                hours = way.step_s * recipe.grpo.steps * gpus / 3600
                figures = f"{way.peak / GIB:.1f}", f"{way.step_s:.1f}", f"{hours:.1f}"
                rows.append((f"`{name}`", f"{gpus} x {CARDS[card].name}", settings, gives_up(way), *figures))
    return table(head, rows)


def gives_up(way: Way) -> str:
    return GIVEN_UP[way.gives_up].partition(" (")[0] if way.changes else "nothing"


def full_training(recipe: Recipe, card: str, gpus: int) -> list[Way]:
    """The recipe as it is where it fits, and the ways that make it fit, or faster, with all weights trained.

    Raises ValueError where there is none.
    """
    shape, size = shape_of(recipe.model.path), int(CARDS[card].memory_gib * GIB)
    ways, now_s = [], float("inf")
    peak = plan_of(recipe, recipe.grpo, shape, CLIP_S, gpus).peak
    if peak + RESERVE <= size:
        now_s = step_seconds(recipe, shape, CARDS[card], size, CLIP_S, gpus)
        ways.append(Way({}, peak, now_s, 0))
    for way in ways_to_fit(recipe, shape, CARDS[card], size, CLIP_S, gpus):
        if way.changes and way.gives_up < FULL_TRAINING and way.step_s < FASTER * now_s:
            ways.append(way)
    if not ways:
        raise ValueError(f"{recipe.name} with all weights fits {gpus} x {card} with no setting known to harken plan")
    return ways


def small_card() -> str:
    """The items of the account for one card of 48 GiB, as Markdown."""
    values = load_recipe(builtin_recipes()[RECIPES[0]]).model_dump(mode="json")
    for setting in SMALL_CARD:
        apply_override(values, setting)
    recipe = Recipe.model_validate(values)
    plan = plan_of(recipe, recipe.grpo, shape_of(recipe.model.path))
    parts = {"": plan.held + plan.rollout, "training: ": plan.training}
    rows = [
        (f"{part}{item.name}", item.about, gib(item.device), gib(item.host))
        for part, items in parts.items()
        for item in items
    ]
    peak = ("peak", "the larger of rollout and training", gib(plan.peak), gib(plan.host()))
    return table(("", "of what", "card, GiB", "host, GiB"), [*rows, peak])


def gib(size: int) -> str:
    return f"{size / GIB:.2f}" if size else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    figures = sum("GiB" in name or name in ("s a step", "GPU hours") for name in head)
    marks = ["---"] * (len(head) - figures) + ["---:"] * figures
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, marks, *rows])


def page(text: str, written: str) -> str:
    """The page with what is written between its marks."""
    return between_marks(text, BEGIN, written, END)


def main() -> None:
    for file, written in ((HARDWARE, prices()), (MEMORY, small_card())):
        write_text(file, page(file.read_text(encoding="utf-8"), written))


if __name__ == "__main__":
    main()
