"""Train a model, with a function that is called after each step."""

import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from rich.console import Console

from harken.api.runs import Run
from harken.config import Recipe, load_run_recipe, parse, read_values, set_key, with_import_folders
from harken.config.builtin_recipes import recipe_file
from harken.errors import ConfigError
from harken.grpo.loop import train as grpo_loop
from harken.training.sft import sft as sft_loop
from harken.training.training_step import OnStep


def train(
    recipe: str | os.PathLike[str] | Mapping[str, Any] | Recipe | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    accept_changes: bool = False,
    on_step: OnStep | None = None,
    console: Console | None = None,
) -> Run:
    """Train a model with reinforcement learning (GRPO).

    Args:
        recipe: a built-in name, a file, a mapping of values, or a validated recipe; leave it out to resume.
        out: the run folder; default: runs/NAME, with the recipe's name.
        settings: keys of the recipe to change, with dots: `{"grpo.steps": 100, "model.path": "tiny"}`.
        resume: go on with the run in `out`, with its own settings.
        accept_changes: go on although data, recipe, base checkpoint or versions have changed.
        on_step: called with a `TrainingStep` after each step; returning True ends the run there, with a checkpoint.
        console: where progress is shown; default: standard output. `Console(quiet=True)` shows none.

    Raises HarkenError as `harken train` prints it.
    """
    return _run(grpo_loop, "", recipe, out, settings, resume, accept_changes, on_step, console)


def sft(
    recipe: str | os.PathLike[str] | Mapping[str, Any] | Recipe | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    accept_changes: bool = False,
    on_step: OnStep | None = None,
    console: Console | None = None,
) -> Run:
    """Fine-tune a model on the right answers (supervised). The arguments are those of `train`; the default folder is
    runs/NAME-sft."""
    return _run(sft_loop, "-sft", recipe, out, settings, resume, accept_changes, on_step, console)


def _run(
    loop: Callable[..., Path],
    suffix: str,
    recipe: str | os.PathLike[str] | Mapping[str, Any] | Recipe | None,
    out: str | os.PathLike[str] | None,
    settings: Mapping[str, Any] | None,
    resume: bool,
    accept_changes: bool,
    on_step: OnStep | None,
    console: Console | None,
) -> Run:
    resolved = _resolved(recipe, out, settings or {}, resume)
    folder = Path(out) if out is not None else Path("runs") / f"{resolved.name}{suffix}"
    screen = Console() if console is None else console
    loop(resolved, folder, screen, resume=resume, accept_changes=accept_changes, on_step=on_step)
    return Run(folder)


def _resolved(
    recipe: str | os.PathLike[str] | Mapping[str, Any] | Recipe | None,
    out: str | os.PathLike[str] | None,
    settings: Mapping[str, Any],
    resume: bool,
) -> Recipe:
    if isinstance(recipe, Recipe) and not settings:
        return recipe
    if resume and recipe is None:
        if out is None:
            raise ConfigError("train: resume goes on with the run in out: give its folder")
        if settings:
            raise ConfigError("train: resume goes on with the run's own settings: leave out settings")
        return load_run_recipe(Path(out))
    if recipe is None:
        raise ConfigError("train: give a recipe, or resume=True and the folder of a run")
    if isinstance(recipe, Recipe):
        values, origin = recipe.model_dump(mode="json"), recipe.name
    elif isinstance(recipe, Mapping):
        values, origin = with_import_folders(deepcopy(dict(recipe)), [Path.cwd()]), "the recipe"
    else:
        file = recipe_file(os.fspath(recipe))
        values, origin = read_values(file), str(file)
    for key, value in settings.items():
        set_key(values, key, os.fspath(value) if isinstance(value, os.PathLike) else value, "settings")
    return parse(Recipe, values, origin)
