"""The time of recipes/small on one GPU, by arithmetic: the counts of `harken plan`, row by row.

Nothing here is measured. A GRPO step is that of `harken plan`; of an SFT step the policy pass and the update are
counted, and of a batch of an evaluation the prefill and the longest answer. Loading, reading clips, checkpoints and
development parts are left out.
"""

import math
from pathlib import Path

from figure_cells import EMPTY
from harken.config import EvaluationRecipe, load_recipe
from harken.planning.cards import CARDS, Card
from harken.planning.memory_items import GIB
from harken.planning.shapes import Shape, shape_of
from harken.planning.step_time import step_time
from harken.planning.ways_to_fit import planned_run, step_seconds
from harken.results.formatting import markdown
from small_figures import BASE, ROWS, SETS, answers

RECIPES = Path(__file__).parents[1] / "recipes" / "small"
TRAINED = {
    BASE: ("sft", "align"),
    "audio": ("train", "grpo_audio"),
    "no_audio": ("train", "grpo_no_audio"),
    "arc": ("train", "grpo_arc"),
    "sft_audio": ("sft", "grpo_audio"),
    "sft_arc": ("sft", "grpo_arc"),
}
"""Row -> the loop that trains it and its recipe."""
CLIP_S = 6.0
"""The window of the assembled model: no clip is longer for it."""
BATCH = EvaluationRecipe.model_fields["batch_size"].default


def projection_table(seed: Path, card: Card = CARDS["h100"]) -> str:
    """A line for each row's training, one for the evaluations of a model, and the sum.

    Cells are empty where the assembled checkpoint is not there; the evaluations are counted once the base has been
    evaluated.
    """
    header = ["on one " + card.name, "steps or batches", "seconds each", "minutes"]
    assembled = seed / "assembled"
    if not (assembled / "config.json").is_file():
        return markdown(header, [["", EMPTY, EMPTY, EMPTY]])
    shape = shape_of(str(assembled))
    lines = [(ROWS[row], *training(row, shape, card)) for row in TRAINED]
    questions = [len(answers(seed, BASE, kind)) for kind in SETS]
    cells = [line(*each) for each in lines]
    if not all(questions):
        return markdown(header, [*cells, ["evaluations of a model", EMPTY, EMPTY, EMPTY]])
    batches = sum(math.ceil(n / BATCH) for n in questions)
    evaluations = ("evaluations of a model", batches, evaluation_batch(shape, card))
    minutes = sum(n * seconds for _, n, seconds in lines) + len(TRAINED) * batches * evaluations[2]
    return markdown(header, [*cells, line(*evaluations), [f"all {len(TRAINED)} models", "", "", f"{minutes / 60:.0f}"]])


def line(name: str, n: int, seconds: float) -> list[str]:
    return [name, str(n), f"{seconds:.2f}", f"{n * seconds / 60:.1f}"]


def training(row: str, shape: Shape, card: Card) -> tuple[int, float]:
    """(steps, seconds of a step)."""
    loop, name = TRAINED[row]
    recipe = load_recipe(RECIPES / f"{name}.yaml")
    size = int(card.memory_gib * GIB)
    if loop == "train":
        return recipe.grpo.steps, step_seconds(recipe, shape, card, size, CLIP_S)
    run = planned_run(recipe, recipe.sft, shape, CLIP_S)
    items = step_time(run, card, run.prompts_per_card, run.prompts_per_card)
    assert recipe.sft.steps is not None
    return recipe.sft.steps, sum(item.seconds for item in items if item.name in ("policy pass", "update"))


def evaluation_batch(shape: Shape, card: Card) -> float:
    """Seconds of a batch whose longest answer has 64 tokens, the default."""
    recipe = load_recipe(RECIPES / "align.yaml", [f"sft.prompts_per_step={BATCH}"])
    run = planned_run(recipe, recipe.sft, shape, CLIP_S)
    items = step_time(run, card, BATCH, BATCH)
    return sum(item.seconds for item in items if item.name in ("encode and prefill", "decode"))
