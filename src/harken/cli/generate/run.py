"""How the commands of `harken generate` run: requests go to a server, or into a batch file."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from harken.cli.generate.options import GENERATION_KEYS
from harken.cli.options import check_files, console, recipe_values, refuse_empty
from harken.system.console import print_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from harken.config import GenerationT
    from harken.generate.clients import GeneratorClient

SHOWN_FAULTS = 5


def run_generation(
    context: typer.Context,
    section: "type[GenerationT]",
    generate: "Callable[[GenerationT, Path, GeneratorClient, Console], None]",
    written: str,
) -> None:
    """Resolve the recipe, collect replies, and write the data.

    Args:
        context: holds the values of the command's options.
        section: class of the recipe.
        generate: collects the replies and writes the data into a folder.
        written: name of the file that it writes there.
    """
    from harken.config import resolve_recipe
    from harken.generate.batch_files import BatchFileClient
    from harken.generate.clients import ServerClient
    from harken.system.model_client import ModelClient

    given = context.params
    values = recipe_values(context, GENERATION_KEYS)
    recipe = resolve_recipe(section, given["recipe"], given["overrides"] or [], values, "harken generate")
    files = {key: file for key in ("captions", "manifest") if (file := getattr(recipe, key, None)) is not None}
    check_files(files, given["recipe"] or "harken generate")
    out, batch_requests = Path(given["out"]), given.get("batch_requests")
    replies = out / "replies.jsonl"
    _store_batch_results(given.get("batch_results") or [], replies)
    if batch_requests is None:
        with ModelClient(recipe.endpoint, replies) as client:
            generate(recipe, out, ServerClient(client), console)
    else:
        limits = given["batch_max_requests"], given["batch_max_mb"]
        with contextlib.closing(BatchFileClient(recipe.endpoint, replies, Path(batch_requests), *limits)) as batch:
            generate(recipe, out, batch, console)
            if not batch.complete:
                files = ", ".join(str(file) for file in batch.finish())
                print_line(console, f"{batch.n_missing:,} requests to send: {files}")
                return
    refuse_empty(out / written, out / "rejected.jsonl")
    print_line(console, f"written: {out / written}")


def _store_batch_results(files: list[Path], replies: Path) -> None:
    """Store the replies of a provider's files of results, and print how many results hold none."""
    from harken.generate.batch_files import store_batch_results

    for file in files:
        n_stored, faults = store_batch_results(Path(file), replies)
        print_line(console, f"{n_stored} replies stored, {len(faults)} results without one: {file}")
        for fault in faults[:SHOWN_FAULTS]:
            print_line(console, f"  {fault}")
