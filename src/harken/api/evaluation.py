"""Evaluate a model on a benchmark, with five kinds of audio, or on several benchmarks in one go."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from harken.api.model import Model
from harken.api.results import Evaluation, Listening, Tasks
from harken.config import EvaluationRecipe, resolve_recipe
from harken.config.builtin_recipes import recipe_file
from harken.errors import ConfigError
from harken.evaluation.evaluate import evaluate as evaluate_recipe
from harken.evaluation.evaluated_model import agree_on_recipe
from harken.evaluation.folder import EvaluationFolder
from harken.evaluation.listening import evaluate_listening as listen_to_recipe
from harken.evaluation.tasks import evaluate_tasks as evaluate_each
from harken.evaluation.tasks import task_recipes
from harken.system.console import SILENT
from harken.system.progress import OnProgress, no_progress
from harken.system.run_files import SUMMARY, read_object

PathLike = str | os.PathLike[str]


def evaluate(
    recipe: str | os.PathLike[str] | EvaluationRecipe | None = None,
    *,
    model: str | os.PathLike[str] | Model | None = None,
    benchmark: str | None = None,
    data: str | os.PathLike[str] | None = None,
    audio: str | None = None,
    max_completion_tokens: int | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | os.PathLike[str] | None = None,
    reuse: bool = True,
    on_progress: OnProgress = no_progress,
    console: Console = SILENT,
) -> Evaluation:
    """Ask a model every question of a benchmark, grade its answers, and return its accuracy with intervals.

    Args:
        recipe: an evaluation recipe: a built-in name, a file, or a validated one. The other arguments go over it.
        model: a checkpoint folder, a run, a Hub id, a loaded `Model`, a baseline, or `module:object` for one of yours.
        benchmark: what the data file holds: a benchmark's name, manifest, or `module:object`.
        data: the file of questions.
        audio: real, none, silence, noise or shuffled.
        settings: any other key of an evaluation recipe, with dots: `{"data.audio_root": "clips", "limit": 100}`.
        out: the folder to write; default: runs/eval/NAME, with the recipe's name.
        reuse: return a finished evaluation that `out` holds with the same recipe and data; otherwise it is an error.
        on_progress: called with (answered, all).
        console: where it is shown what is checked and loaded; default: nowhere.

    Raises HarkenError as `harken evaluate` prints it.
    """
    resolved = _resolved(recipe, model, benchmark, data, audio, max_completion_tokens, settings)
    folder = _folder(out, resolved)
    if reuse and (finished := _finished(resolved, folder)) is not None:
        return finished
    return Evaluation(folder, evaluate_recipe(resolved, folder, on_progress, console, loaded=_loaded(model)))


def evaluate_listening(
    recipe: str | os.PathLike[str] | EvaluationRecipe | None = None,
    *,
    model: str | os.PathLike[str] | Model | None = None,
    benchmark: str | None = None,
    data: str | os.PathLike[str] | None = None,
    max_completion_tokens: int | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | os.PathLike[str] | None = None,
    on_progress: OnProgress = no_progress,
    console: Console = SILENT,
) -> Listening:
    """Ask the same questions with the clip, without it, with silence, with noise and with another question's clip.

    The arguments are those of `evaluate`. What `out` holds already is not asked again.
    """
    resolved = _resolved(recipe, model, benchmark, data, None, max_completion_tokens, settings)
    folder = _folder(out, resolved)
    return Listening(folder, listen_to_recipe(resolved, folder, on_progress, console, loaded=_loaded(model)))


def evaluate_tasks(
    tasks: Sequence[str] | Mapping[str, EvaluationRecipe],
    recipe: str | os.PathLike[str] | None = None,
    *,
    file: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | Model | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | os.PathLike[str] | None = None,
    on_progress: OnProgress = no_progress,
    console: Console = SILENT,
) -> Tasks:
    """Evaluate a model on several benchmarks, and return one table.

    Args:
        tasks: names of tasks in `file`, or `NAME=DATA` or `NAME=DATA:AUDIO_ROOT` with the name of a benchmark.
        recipe: an evaluation recipe that all tasks share.
        file: YAML that maps names of tasks to what their evaluations differ in (docs/evaluation.md).
        model, settings: as in `evaluate`, over all tasks.
        out: the folder to write, one evaluation in each subfolder; default: runs/eval/tasks.
    """
    named: Mapping[str, EvaluationRecipe]
    if isinstance(tasks, Mapping):
        named = tasks
    else:
        values = {"model": None if model is None else _model_name(model), **(settings or {})}
        base = None if recipe is None else recipe_file(os.fspath(recipe))
        named = task_recipes(tasks, None if file is None else Path(file), base, values)
    folder = Path(out) if out is not None else Path("runs") / "eval" / "tasks"
    return Tasks(folder, evaluate_each(named, folder, on_progress, console, loaded=_loaded(model)))


def _resolved(
    recipe: PathLike | EvaluationRecipe | None,
    model: PathLike | Model | None,
    benchmark: str | None,
    data: PathLike | None,
    audio: str | None,
    max_completion_tokens: int | None,
    settings: Mapping[str, Any] | None,
) -> EvaluationRecipe:
    values: dict[str, Any] = {
        "model": None if model is None else _model_name(model),
        "data.reader": benchmark,
        "data.file": None if data is None else os.fspath(data),
        "data.audio": audio,
        "max_completion_tokens": max_completion_tokens,
        **(settings or {}),
    }
    if isinstance(model, Model):
        values |= {"dtype": model.dtype, "device": model.device}
    if isinstance(recipe, EvaluationRecipe):
        given = [key for key, value in values.items() if value is not None]
        if given:
            raise ConfigError(f"evaluate: {', '.join(given)}: a validated recipe holds every setting; change it there")
        return recipe
    file = None if recipe is None else recipe_file(os.fspath(recipe))
    replaced = ("model", "endpoint") if model is not None else ()
    return resolve_recipe(EvaluationRecipe, file, [], values, "evaluate", replaced)


def _model_name(model: PathLike | Model) -> str:
    return model.path if isinstance(model, Model) else os.fspath(model)


def _loaded(model: PathLike | Model | None) -> Any:
    return model.audio_lm if isinstance(model, Model) else None


def _folder(out: PathLike | None, recipe: EvaluationRecipe) -> Path:
    return Path(out) if out is not None else Path("runs") / "eval" / recipe.name


def _finished(recipe: EvaluationRecipe, folder: Path) -> Evaluation | None:
    """The evaluation that the folder holds; None where there is none, or only a part of one."""
    if not (folder / "summary.json").is_file():
        return None
    if not EvaluationFolder(folder, agree_on_recipe(recipe)).is_finished:
        return None
    return Evaluation(folder, read_object(folder / "summary.json", SUMMARY, "evaluate again"))
