"""The command line of `harken generate`.

Takes a recipe, options over it, or options alone; prints what was written. Heavy modules are imported when a command
runs.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Callable

    from harken.config import GenerationT
    from harken.generate.retries import Asker

generate = typer.Typer(no_args_is_help=True, help="Training data written by a language model behind a server.")
console = Console()
SHOWN_FAULTS = 5

RecipeFile = Annotated[Path | None, typer.Argument(help="YAML recipe; options go over it.", metavar="[RECIPE.yaml]")]
Out = Annotated[Path, typer.Option("--out", help="Folder to write; replies are kept in it.")]
Captions = Annotated[Path | None, typer.Option("--captions", help="JSON lines of facts about clips.")]
Manifest = Annotated[Path | None, typer.Option("--manifest", help="harken's own JSON lines.")]
Address = Annotated[str | None, typer.Option("--endpoint", help="Address of the server, up to and with /v1.")]
Model = Annotated[str | None, typer.Option("--model", help="Name the server knows the model by.")]
KeyVariable = Annotated[
    str | None, typer.Option("--api-key-env", help="Environment variable that holds the server's key.")
]
Concurrency = Annotated[int | None, typer.Option("--concurrency", help="Requests under way at once [16].")]
PromptFile = Annotated[Path | None, typer.Option("--prompt-file", help="Wording to use instead of ours.")]
BatchRequests = Annotated[
    Path | None,
    typer.Option("--batch-requests", help="Ask nothing: write the requests without a reply here, for a batch."),
]
BatchResults = Annotated[
    list[Path] | None, typer.Option("--batch-results", help="Results of a batch; may be repeated.")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="key.path=value, over the recipe's.", metavar="KEY=VALUE")
]


@generate.command()
def questions(
    out: Out,
    recipe: RecipeFile = None,
    captions: Captions = None,
    endpoint: Address = None,
    model: Model = None,
    api_key_env: KeyVariable = None,
    prompt_file: PromptFile = None,
    concurrency: Concurrency = None,
    batch_requests: BatchRequests = None,
    batch_results: BatchResults = None,
    overrides: Overrides = None,
) -> None:
    """Multiple-choice questions from facts about clips, as AVQA-GPT and VGGS-GPT were made."""
    from harken.config import QuestionRecipe, resolve_recipe
    from harken.generate.questions import generate_questions

    options = {"captions": captions, "prompt_file": prompt_file, **_server(endpoint, model, api_key_env, concurrency)}
    resolved = resolve_recipe(QuestionRecipe, recipe, overrides or [], options, "harken generate")
    _run(generate_questions, resolved, out, out / "manifest.jsonl", batch_requests, batch_results)


@generate.command()
def reasoning(
    out: Out,
    recipe: RecipeFile = None,
    manifest: Manifest = None,
    captions: Captions = None,
    endpoint: Address = None,
    model: Model = None,
    api_key_env: KeyVariable = None,
    prompt_file: PromptFile = None,
    concurrency: Concurrency = None,
    batch_requests: BatchRequests = None,
    batch_results: BatchResults = None,
    overrides: Overrides = None,
) -> None:
    """A manifest's questions with reasoning to teach, from the questions, their answers and facts about the clips."""
    from harken.config import ReasoningRecipe, resolve_recipe
    from harken.generate.reasoning import generate_reasoning

    options = {"captions": captions, "prompt_file": prompt_file, **_server(endpoint, model, api_key_env, concurrency)}
    options["manifest"] = manifest
    resolved = resolve_recipe(ReasoningRecipe, recipe, overrides or [], options, "harken generate")
    _run(generate_reasoning, resolved, out, out / "manifest.jsonl", batch_requests, batch_results)


@generate.command()
def captions(
    out: Out,
    recipe: RecipeFile = None,
    manifest: Manifest = None,
    audio_root: Annotated[Path | None, typer.Option("--audio-root", help="[the manifest's own folder]")] = None,
    endpoint: Address = None,
    model: Model = None,
    api_key_env: KeyVariable = None,
    prompt_file: PromptFile = None,
    concurrency: Concurrency = None,
    overrides: Overrides = None,
) -> None:
    """Facts about a manifest's clips, heard by a served audio model."""
    from harken.config import CaptionRecipe, resolve_recipe
    from harken.generate.captions import generate_captions

    options = {"manifest": manifest, "audio_root": audio_root, "prompt_file": prompt_file}
    options |= _server(endpoint, model, api_key_env, concurrency)
    resolved = resolve_recipe(CaptionRecipe, recipe, overrides or [], options, "harken generate")
    _run(generate_captions, resolved, out, out / "captions.jsonl", None, None)


def _server(endpoint: str | None, model: str | None, api_key_env: str | None, concurrency: int | None) -> dict:
    return {
        **{"endpoint.base_url": endpoint, "endpoint.model": model, "endpoint.api_key_env": api_key_env},
        "endpoint.concurrency": concurrency,
    }


def _run(
    command: "Callable[[GenerationT, Path, Asker, Console], None]",
    recipe: "GenerationT",
    out: Path,
    written: Path,
    batch_requests: Path | None,
    batch_results: list[Path] | None,
) -> None:
    """Ask a server, or write a file of requests instead; `written` is named when it is there."""
    from harken.generate.batch_files import BatchAsker, store_results
    from harken.generate.retries import LiveAsker
    from harken.system.model_client import ModelClient

    replies = out / "replies.jsonl"
    for path in batch_results or []:
        stored, faults = store_results(path, replies)
        _say(f"{stored} replies stored, {len(faults)} results without one", path)
        for fault in faults[:SHOWN_FAULTS]:
            console.print(f"  {fault}", markup=False, highlight=False, soft_wrap=True)
    if batch_requests is None:
        with ModelClient(recipe.endpoint, replies) as client:
            command(recipe, out, LiveAsker(client), console)
    else:
        asker = BatchAsker(recipe.endpoint, replies)
        command(recipe, out, asker, console)
        if not asker.complete:
            _say(f"{asker.write(batch_requests)} requests to send", batch_requests)
            return
    _say("written", written)


def _say(what: str, path: Path) -> None:
    console.print(f"{what}: {escape(str(path))}", highlight=False, soft_wrap=True)
