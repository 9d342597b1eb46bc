"""How much of a step is computed at once: completions that are decoded together, tokens of a micro-batch.

The recipe may say so. Otherwise the sizes follow from the memory of the card and the account of the run; without a GPU
they are fixed. No size changes a result.
"""

import sys
from dataclasses import dataclass

import torch

from harken.config import GrpoConfig, Recipe, SftConfig
from harken.models.loading import pick_device
from harken.planning.largest_sizes import rollout_tokens_that_fit, tokens_that_fit
from harken.planning.shapes import Shape, shape_of
from harken.planning.ways_to_fit import planned_run

TOKENS_WITHOUT_GPU = 4096
"""Tokens of a micro-batch on a CPU. More of them are no faster there: a pass over so many is bound by arithmetic."""


@dataclass(slots=True)
class StepSizes:
    """Mutable: where something does not fit into memory, later steps take less.

    Attributes:
        rollout_rows: most completions that are decoded together; None = no limit.
        rollout_tokens: most tokens in the rollout's cache of keys and values; None = no limit.
        tokens_per_micro_batch: most tokens of a micro-batch, padding included.
    """

    rollout_rows: int | None = None
    rollout_tokens: int | None = None
    tokens_per_micro_batch: int = TOKENS_WITHOUT_GPU


def step_sizes(recipe: Recipe, settings: GrpoConfig | SftConfig, gpus: int = 1) -> StepSizes:
    """The sizes of a run's steps on this machine."""
    device = pick_device(recipe.model.device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        own = torch.cuda.memory_reserved(device)  # the models, where they are loaded already
        shape = shape_of(recipe.model.path, recipe.model.architecture)
        sizes = sizes_that_fit(recipe, settings, shape, free + own, gpus)
    else:
        sizes = StepSizes()
    sizes.rollout_rows = recipe.memory.rollout_rows
    if settings.tokens_per_micro_batch is not None:
        sizes.tokens_per_micro_batch = settings.tokens_per_micro_batch
    if recipe.memory.step_in_backward:
        sizes.tokens_per_micro_batch = sys.maxsize  # gradients of several micro-batches cannot be added up
    return sizes


def sizes_that_fit(
    recipe: Recipe, settings: GrpoConfig | SftConfig, shape: Shape, card_bytes: int, gpus: int = 1
) -> StepSizes:
    """The largest sizes with which the run needs at most `card_bytes` of a card, by its account."""
    run = planned_run(recipe, settings, shape, gpus=gpus)
    return StepSizes(
        rollout_tokens=rollout_tokens_that_fit(run, card_bytes),
        tokens_per_micro_batch=tokens_that_fit(run, card_bytes),
    )
