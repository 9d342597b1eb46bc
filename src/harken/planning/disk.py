"""The room on the disk that a run needs, from the sizes in its checkpoint's config."""

import shutil
from pathlib import Path

from harken.config import GrpoConfig, Recipe, SftConfig
from harken.errors import ConfigError
from harken.planning.held_memory import MOMENT_BYTES, MOMENT_BYTES_8BIT
from harken.planning.memory_items import GIB
from harken.planning.planned_run import FLOAT32_BYTES
from harken.planning.shapes import Shape
from harken.planning.ways_to_fit import planned_run


def checkpoint_bytes(recipe: Recipe, settings: GrpoConfig | SftConfig, shape: Shape) -> int:
    """Bytes of one checkpoint: what trains in float32 with the optimizer's moments, and what does not as it is kept.

    A checkpoint of adapters holds what trains alone.
    """
    run = planned_run(recipe, settings, shape)
    trained, frozen = run.parameters
    moments = MOMENT_BYTES_8BIT if recipe.memory.optimizer == "adamw_8bit" else MOMENT_BYTES
    unchanged = 0 if recipe.model.lora is not None else frozen * run.frozen_bytes
    return int(trained * (FLOAT32_BYTES + moments)) + unchanged


def refuse_full_disk(recipe: Recipe, settings: GrpoConfig | SftConfig, shape: Shape, out: Path) -> None:
    """Raise ConfigError where the disk of the run folder has no room for one checkpoint of the run."""
    needed = checkpoint_bytes(recipe, settings, shape)
    place = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise ConfigError(
            f"{out}: a checkpoint of this run takes about {needed / GIB:.3g} GiB, and {free / GIB:.3g} GiB are free; "
            "make room, or choose another --out"
        )
