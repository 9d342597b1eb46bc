"""`harken evaluate`: asks a model the questions of a benchmark and prints a table of its accuracy."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from harken.cli import evaluate_options as options
from harken.cli.options import (
    ApiKeyVariable,
    AsJson,
    Concurrency,
    Overrides,
    Quiet,
    RecipeFile,
    ServerAddress,
    check_files,
    check_names,
    console_for,
    print_end,
    recipe_values,
)
from harken.errors import ServerError
from harken.system.console import escape_unprintable, print_line, print_warning

if TYPE_CHECKING:
    from harken.config import EvaluationRecipe


def evaluate(
    context: typer.Context,  # the values of most options reach the recipe through it: options.EVALUATION_KEYS
    recipe: RecipeFile = None,
    overrides: Overrides = None,
    model: options.Model = None,
    device: options.EvaluationDevice = None,
    dtype: options.EvaluationWeightsType = None,
    batch_size: options.BatchSize = None,
    endpoint: ServerAddress = None,
    served_model: options.ServedModelName = None,
    api_key_env: ApiKeyVariable = None,
    concurrency: Concurrency = None,
    requests_per_minute: options.RequestsPerMinute = None,
    max_failed: options.MaxFailed = None,
    benchmark: options.BenchmarkName = None,
    tasks: options.Tasks = None,
    data: options.Data = None,
    audio_root: options.BenchmarkAudioRoot = None,
    limit: options.Limit = None,
    subset: options.Subset = None,
    allow_missing: options.MissingAllowed = False,
    audio: options.AudioMode = None,
    no_audio: options.NoAudio = False,
    listening: options.Listening = False,
    long_audio: options.LongAudio = None,
    style: options.Style = None,
    samples: options.Samples = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    permute: options.Permute = None,
    paraphrases: options.Paraphrases = None,
    seed: options.Seed = None,
    force: options.Force = None,
    transcripts: options.Transcripts = None,
    likelihoods: options.Likelihoods = None,
    max_completion_tokens: options.MaxCompletionTokens = None,
    out: options.Out = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Ask a model the questions of a benchmark, grade its answers, and print its accuracy.

    Give a recipe, options over a recipe, or options alone. A stopped evaluation continues with the same command.
    Started by torchrun, its processes share the questions of a local model.
    """
    screen = console_for(quiet, as_json)
    if tasks is not None:
        _evaluate_tasks(context, recipe, tasks, screen)
        return
    settings = _settings(context, recipe)
    folder = out or Path("runs") / "eval" / settings.name
    print_line(screen, f"evaluating on {settings.data.file}, into {folder}")
    check_files({"data.file": settings.data.file}, recipe or "harken evaluate")
    summary, rows_file = (_listen if listening else _answer)(settings, folder, screen)
    if not summary:  # this is not the first of several processes, which alone writes and prints
        return
    print_end({**summary, "predictions": str(rows_file)}, folder, [], quiet, as_json)
    if not listening:
        _report_failures(summary, settings.max_failed_share, folder)


def _evaluate_tasks(context: typer.Context, recipe: Path | None, tasks: str, screen: Console) -> None:
    """Evaluate on several benchmarks and print one table. Every rank but the first has no summaries and prints
    nothing."""
    given = context.params
    for option in ("benchmark", "listening"):
        if given[option]:
            raise typer.BadParameter(f"--tasks names what is asked: no --{option}", param_hint="--tasks")
    from harken.api.evaluation import evaluate_tasks
    from harken.evaluation.tasks import task_recipes
    from harken.results.evaluation_tables import tasks_table
    from harken.system.progress import StepProgress

    values = _option_values(context)
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    data = values.pop("data.file")
    recipes = task_recipes(names, data, recipe, values, given["overrides"] or [])
    for settings in recipes.values():
        check_names([settings.data], settings.prompt)
    with StepProgress(screen, "evaluate", 0, 200) as progress:
        done = evaluate_tasks(recipes, out=given["out"], on_progress=progress.update, console=screen)
    if done.summaries:
        screen.print(tasks_table(f"{len(recipes)} tasks", done.summaries))
        print_line(screen, f"summaries: {done.folder / 'tasks.json'}")
        print_end({"tasks": done.summaries}, done.folder, [], given["quiet"], given["as_json"])


def _settings(context: typer.Context, recipe: Path | None) -> "EvaluationRecipe":
    """The recipe with the options over it."""
    from harken.config import EvaluationRecipe, resolve_recipe

    given, values = context.params, _option_values(context)
    names_model = given["model"] is not None or given["endpoint"] is not None
    replaced = ("model", "endpoint") if names_model else ()  # the options take the place of the recipe's model
    settings = resolve_recipe(EvaluationRecipe, recipe, given["overrides"] or [], values, "harken evaluate", replaced)
    check_names([settings.data], settings.prompt)
    return settings


def _option_values(context: typer.Context) -> dict[str, Any]:
    """Dotted key of the recipe -> what the options set it to, or None."""
    given = context.params
    audio, no_audio = given["audio"], given["no_audio"]
    if no_audio and audio not in (None, "none"):
        raise typer.BadParameter(f"--no-audio is --audio none, and --audio says {audio!r}", param_hint="--audio")
    if given["listening"] and (no_audio or audio is not None):
        raise typer.BadParameter("--listening asks with every kind of audio: no --audio", param_hint="--listening")
    values = recipe_values(context, options.EVALUATION_KEYS)
    values["subset"] = _labels(given["subset"] or [])
    values["allow_missing"] = given["allow_missing"] or None
    if no_audio:
        values["data.audio"] = "none"
    return values


def _labels(pairs: list[str]) -> dict[str, list[str]] | None:
    """task=speech, task=music, difficulty=hard -> {"task": ["speech", "music"], "difficulty": ["hard"]}."""
    labels: dict[str, list[str]] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r}: expected KEY=VALUE, such as task=speech", param_hint="--subset")
        labels.setdefault(key, []).append(value)
    return labels or None


def _answer(settings: "EvaluationRecipe", folder: Path, screen: Console) -> tuple[Mapping[str, Any], Path]:
    """Evaluate with one kind of audio and print the table. Returns the summary, which is empty on every rank but the
    first, and the file of predictions."""
    from harken.api.evaluation import evaluate
    from harken.results.evaluation_tables import summary_table, trials_table, wordings_table
    from harken.system.progress import StepProgress

    with StepProgress(screen, "evaluate", 0, 200) as progress:
        summary = evaluate(settings, out=folder, reuse=False, on_progress=progress.update, console=screen).summary
    if not summary:
        return {}, folder
    mode = settings.data.audio
    audio = {"real": "with audio", "none": "without audio"}.get(mode, f"{mode} audio")
    screen.print(summary_table(f"{escape_unprintable(settings.data.file.name)}, {audio}", summary))
    if "samples" in summary or "orders" in summary:
        screen.print(trials_table("several answers to each question", summary))
    if "wordings" in summary:
        screen.print(wordings_table("several wordings of each question", summary["wordings"]))
    _print_beside_papers(screen, folder, settings)
    print_line(screen, f"predictions: {folder / 'predictions.jsonl'}")
    return summary, folder / "predictions.jsonl"


def _listen(settings: "EvaluationRecipe", folder: Path, screen: Console) -> tuple[Mapping[str, Any], Path]:
    """Evaluate with every kind of audio and print the table. Returns the figures and the file of rows."""
    from harken.api.evaluation import evaluate_listening
    from harken.results.evaluation_tables import listening_table
    from harken.system.progress import StepProgress

    with StepProgress(screen, "evaluate", 0, 200) as progress:
        figures = evaluate_listening(settings, out=folder, on_progress=progress.update, console=screen).figures
    if not figures:
        return {}, folder
    screen.print(listening_table(f"{escape_unprintable(settings.data.file.name)}, by what is heard", figures))
    print_line(screen, f"by question: {folder / 'listening.jsonl'}")
    return figures, folder / "listening.jsonl"


def _report_failures(summary: Mapping[str, Any], max_failed_share: float, folder: Path) -> None:
    """Print why requests failed, each cause whole and with its number. Raises ServerError where too many failed."""
    failures = summary.get("failures", [])
    if not failures:
        return
    n_failed, n = summary["n_failed"], summary["n_requests"]
    causes = "\n".join(f"  {failure['n']} x {failure['reason']}" for failure in failures)
    text = f"{folder}: {n_failed} of {n} requests failed and count as wrong; the same command repeats them:\n{causes}"
    if n_failed > max_failed_share * n:
        raise ServerError(f"{text}\nMore than --max-failed {max_failed_share:g} of the requests failed.")
    print_warning(Console(stderr=True), text)


def _print_beside_papers(screen: Console, folder: Path, recipe: "EvaluationRecipe") -> None:
    """Print the papers' rows that the recipe names with the result; else the first reason why it fits no table."""
    from harken.results.beside_paper import place_beside_rows
    from harken.results.beside_paper_table import beside_paper_table

    tables, reasons = place_beside_rows(folder, {row.table: row.row for row in recipe.published})
    for table, figures in tables:
        screen.print(beside_paper_table(table, {recipe.name: figures}))
    if reasons and not tables:
        print_line(screen, f"not beside a paper: {reasons[0]}")
