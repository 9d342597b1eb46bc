"""Evaluates one model on several benchmarks, for `harken evaluate --tasks`.

A task is a name with an evaluation recipe. The model is loaded once; each task has a folder of its own, so that a
stopped command goes on where it was, and a finished task is not asked again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from harken.benchmarks import BENCHMARKS
from harken.config import EvaluationRecipe, read_mapping, resolve_recipe
from harken.config.extends import merge
from harken.config.plugins import installed
from harken.errors import ConfigError, did_you_mean, short_repr
from harken.evaluation.evaluate import evaluate_questions
from harken.evaluation.evaluated_model import agree_on_recipe, is_checkpoint, load_checkpoint, open_model
from harken.evaluation.folder import EvaluationFolder, how_to_go_on
from harken.evaluation.load_questions import load_questions
from harken.models.audio_lm import AudioLM
from harken.questions.prompt import Prompt
from harken.system.console import SILENT
from harken.system.distributed_run import distributed_run, join_ranks
from harken.system.files import write_json
from harken.system.progress import OnProgress, no_progress
from harken.system.ranks import Ranks
from harken.system.run_files import SUMMARY, read_object

ALL = "all"
"""Stands for all tasks of a file."""


def task_recipes(
    tasks: Sequence[str],
    file: Path | None,
    recipe: Path | None,
    options: Mapping[str, Any],
    overrides: Sequence[str] = (),
) -> dict[str, EvaluationRecipe]:
    """Name of a task -> its evaluation recipe.

    Args:
        tasks: names in `file`, or `BENCHMARK=DATA` or `BENCHMARK=DATA:AUDIO_ROOT`; ["all"] for every name in `file`.
        file: YAML: name of a task -> the keys in which its recipe differs. Where a task names its file of questions and
            no reader, `data.reader` is the task's own name if that is a benchmark's, else manifest.
        recipe: what all tasks share.
        options: dotted key -> value, over all of them.
        overrides: `key=value`, below the options.

    Raises ConfigError for a name that stands for no task, for one that is given twice, and as `resolve_recipe` does.
    """
    known = {} if file is None else read_mapping(file)
    if list(tasks) == [ALL] and ALL not in known and file is not None:
        tasks = list(map(str, known))
    recipes: dict[str, EvaluationRecipe] = {}
    for task in tasks:
        name, equals, data = task.partition("=")
        values = _inline(name, data) if equals else _listed(name, known, file)
        folder = name.replace(":", "-")
        if folder in recipes:
            raise ConfigError(f"--tasks: {name} is given twice; give each task once")
        if not folder or "/" in folder or folder.startswith("."):
            raise ConfigError(f"--tasks: {short_repr(name)} is no name for a task: its folder has the same name")
        origin = f"--tasks {name}"
        below = {key: value for key, value in options.items() if value is not None}
        replaced = ("model", "endpoint") if {"model", "endpoint.base_url"} & below.keys() else ()
        recipes[folder] = resolve_recipe(EvaluationRecipe, recipe, overrides, below, origin, replaced, values)
    return recipes


def _inline(name: str, data: str) -> dict[str, Any]:
    file, colon, audio_root = (data, "", "") if Path(data).exists() else data.rpartition(":")
    source = {"reader": name, "file": file or data}
    return {"data": {**source, "audio_root": audio_root} if colon else source}


def _listed(name: str, known: Mapping[str, Any], file: Path | None) -> dict[str, Any]:
    if name not in known:
        where = "write it as BENCHMARK=DATA, or name a file of tasks" if file is None else f"{file} has"
        listed = "" if file is None else f" {', '.join(map(str, known)) or 'none'}"
        raise ConfigError(f"--tasks: there is no task {name!r}{did_you_mean(name, map(str, known))}; {where}{listed}")
    values = known[name]
    if not isinstance(values, dict):
        raise ConfigError(f"{file}: {name}: expected the keys of an evaluation recipe, found {short_repr(values)}")
    if name in (*BENCHMARKS, *installed("benchmark")):
        return merge({"data": {"reader": name}}, values)
    data = values.get("data")
    return merge({"data": {"reader": "manifest"}}, values) if isinstance(data, dict) and "file" in data else values


@distributed_run(how_to_go_on)
def evaluate_tasks(
    recipes: Mapping[str, EvaluationRecipe],
    out: Path,
    on_progress: OnProgress = no_progress,
    console: Console = SILENT,
    loaded: AudioLM | None = None,
) -> dict[str, dict[str, Any]]:
    """Evaluate each task into `out`/NAME and write the summaries into `out`/tasks.json.

    Args:
        on_progress: called with (answered trials, all trials) of the task that is under way.
        console: where it is shown what is checked and loaded.
        loaded: the checkpoint that the recipes name, if it is in memory already.

    Returns name -> summary; it is empty on every rank but the first. Raises as `evaluate` does, before any task is
    asked where a folder holds another evaluation.
    """
    ranks = join_ranks()
    agreed = {name: agree_on_recipe(recipe, ranks) for name, recipe in recipes.items()}
    folders = ranks.run_on_all(lambda: {name: EvaluationFolder(out / name, recipe) for name, recipe in agreed.items()})
    prompts = {name: Prompt.from_config(recipe.prompt) for name, recipe in agreed.items()}
    finished = ranks.broadcast([folder.is_finished for folder in folders.values()])
    models: dict[tuple[str | None, str, str], AudioLM] = {}
    summaries: dict[str, dict[str, Any]] = {}
    for (name, folder), is_finished in zip(folders.items(), finished, strict=True):
        if is_finished:
            if ranks.is_main:
                summaries[name] = read_object(folder.path / "summary.json", SUMMARY, "evaluate again")
            continue
        recipe = agreed[name]
        questions = ranks.run_on_main(lambda recipe=recipe, folder=folder: load_questions(recipe, folder, console))
        model = loaded or _model_of(recipe, models, ranks, console)
        with open_model(recipe, prompts[name], folder.replies, ranks, console, model) as opened:
            summary = evaluate_questions(folder, questions, opened, prompts[name], on_progress, ranks)
        if ranks.is_main:
            summaries[name] = summary
    if ranks.is_main:
        write_json(out / "tasks.json", summaries)
    return summaries


def _model_of(
    recipe: EvaluationRecipe, models: dict[tuple[str | None, str, str], AudioLM], ranks: Ranks, console: Console
) -> AudioLM | None:
    """The checkpoint of a recipe, loaded once for all tasks that name it in the same type and on the same device."""
    if not is_checkpoint(recipe.model):
        return None
    key = recipe.model, recipe.dtype, recipe.device
    if key not in models:
        models.clear()  # two models need not fit into memory
        models[key] = load_checkpoint(recipe, ranks, console)
    return models[key]
