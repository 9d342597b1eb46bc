"""`harken evaluate`: a recipe, options over it, or options alone -> predictions and their table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from harken.benchmarks import BENCHMARKS
from harken.cli.options import AsJson, Overrides, Quiet, RecipeFile, check_names, end, screen_of
from harken.system.console import escape_unprintable, print_line

if TYPE_CHECKING:
    from harken.config import EvaluationRecipe


def evaluate(
    recipe: RecipeFile = None,
    model: Annotated[str | None, typer.Option("--model", help="Checkpoint folder, run folder or Hub id.")] = None,
    benchmark: Annotated[
        str | None,
        typer.Option("--benchmark", help=f"{', '.join(BENCHMARKS)}, manifest, or module:object for one of yours."),
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="The benchmark's JSON file.")] = None,
    audio_root: Annotated[
        Path | None, typer.Option("--audio-root", help="Folder of the clips [the data file's].")
    ] = None,
    audio: Annotated[
        str | None, typer.Option("--audio", help="What is heard: real, none, silence, noise or shuffled [real].")
    ] = None,
    no_audio: Annotated[
        bool, typer.Option("--no-audio", help="The same as --audio none: no audio token at all.")
    ] = False,
    listening: Annotated[bool, typer.Option("--listening", help="All five kinds of audio, and audio gain.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for predictions.jsonl and summary.json.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", help="Only the first so many questions.")] = None,
    subset: Annotated[
        list[str] | None,
        typer.Option("--subset", help="task=speech; again for more values or keys.", metavar="KEY=VALUE"),
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Go on without clips that are not there; they count as wrong.")
    ] = False,
    style: Annotated[
        str | None,
        typer.Option("--style", help="Prompt: omni_r1, r1_aqa, r1_aqa_think, adaptive, or a benchmark's own."),
    ] = None,
    samples: Annotated[int | None, typer.Option("--samples", help="Answers to each question.")] = None,
    temperature: Annotated[float | None, typer.Option("--temperature", help="0 is greedy [0].")] = None,
    top_p: Annotated[float | None, typer.Option("--top-p")] = None,
    permute: Annotated[int | None, typer.Option("--permute", help="Orders of each question's choices.")] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of samples, orders, noise and shuffled clips [0].")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="Address of an OpenAI-compatible server, up to and with /v1.")
    ] = None,
    served_model: Annotated[str | None, typer.Option("--served-model", help="The model's name there.")] = None,
    api_key_env: Annotated[
        str | None, typer.Option("--api-key-env", help="Environment variable that holds the key.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option("--concurrency", help="Requests under way at once [16].")] = None,
    requests_per_minute: Annotated[float | None, typer.Option("--requests-per-minute")] = None,
    long_audio: Annotated[
        str | None, typer.Option("--long-audio", help="Clips over the window: crop or wrong.")
    ] = None,
    force: Annotated[str | None, typer.Option("--force", help="think or no_think: begin every answer so.")] = None,
    max_completion_tokens: Annotated[int | None, typer.Option("--max-completion-tokens")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size")] = None,
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda, cuda:1, ...")] = None,
    dtype: Annotated[str | None, typer.Option("--dtype", help="float32, bfloat16 or float16 weights.")] = None,
    overrides: Overrides = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Answer a benchmark and grade it: greedily or in samples, with a checkpoint or a served model."""
    screen = screen_of(quiet, as_json)
    from harken.config import EvaluationRecipe, resolve_recipe

    if no_audio and audio not in (None, "none"):
        raise typer.BadParameter(f"--no-audio is --audio none, and --audio says {audio!r}", param_hint="--audio")
    if listening and (no_audio or audio is not None):
        raise typer.BadParameter("--listening asks with every kind of audio: no --audio", param_hint="--listening")
    options = {
        **{"model": model, "data.reader": benchmark, "data.file": data, "data.audio_root": audio_root},
        **{"data.audio": "none" if no_audio else audio, "limit": limit, "subset": _subset(subset)},
        **{"allow_missing": allow_missing or None, "prompt.style": style, "long_audio": long_audio, "seed": seed},
        **{"samples": samples, "temperature": temperature, "top_p": top_p, "permute": permute},
        **{"endpoint.base_url": endpoint, "endpoint.model": served_model, "endpoint.api_key_env": api_key_env},
        **{"endpoint.concurrency": concurrency, "endpoint.requests_per_minute": requests_per_minute},
        "force": force,
        **{"max_completion_tokens": max_completion_tokens, "batch_size": batch_size, "device": device, "dtype": dtype},
    }
    replaced = () if model is None and endpoint is None else ("model", "endpoint")
    resolved = resolve_recipe(EvaluationRecipe, recipe, overrides or [], options, "harken evaluate", replaced)
    check_names([resolved.data], resolved.prompt)
    from harken.evaluation.evaluate import evaluate as run
    from harken.evaluation.evaluate import listen
    from harken.results.evaluation_tables import listening_table, summary_table, trials_table
    from harken.system.progress import StepProgress

    folder = out or Path("runs") / "eval" / resolved.name
    with StepProgress(screen, "evaluate", 0, 200) as progress:
        found = (listen if listening else run)(resolved, folder, progress.update)
    rows = folder / ("listening.jsonl" if listening else "predictions.jsonl")
    if listening:
        screen.print(listening_table(f"{escape_unprintable(resolved.data.file.name)}, by what is heard", found))
        print_line(screen, f"by question: {rows}")
    else:
        said = {"real": "with audio", "none": "without audio"}.get(resolved.data.audio, f"{resolved.data.audio} audio")
        screen.print(summary_table(f"{escape_unprintable(resolved.data.file.name)}, {said}", found))
        if "samples" in found or "orders" in found:
            screen.print(trials_table("several answers to each question", found))
        _beside_papers(screen, folder, resolved)
        print_line(screen, f"predictions: {rows}")
    end({**found, "predictions": str(rows)}, folder, [], quiet, as_json)


def _beside_papers(screen: Console, folder: Path, recipe: "EvaluationRecipe") -> None:
    """The rows that the recipe names, with the result; where it fits none of their tables, the first reason."""
    from harken.results.beside_paper import place_beside_rows
    from harken.results.beside_paper_table import beside_paper_table

    tables, reasons = place_beside_rows(folder, {one.table: one.row for one in recipe.published})
    for table, figures in tables:
        screen.print(beside_paper_table(table, {recipe.name: figures}))
    if reasons and not tables:
        print_line(screen, f"not beside a paper: {reasons[0]}")


def _subset(pairs: list[str] | None) -> dict[str, list[str]] | None:
    """task=speech, task=music, difficulty=hard -> {"task": ["speech", "music"], "difficulty": ["hard"]}."""
    found: dict[str, list[str]] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r}: expected KEY=VALUE, such as task=speech", param_hint="--subset")
        found.setdefault(key, []).append(value)
    return found or None
