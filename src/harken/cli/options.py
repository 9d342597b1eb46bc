"""Options and output that several commands share."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from harken.errors import ConfigError, DataError, did_you_mean
from harken.system.console import print_json_line, print_line

if TYPE_CHECKING:
    from harken.config import PromptConfig, SourceConfig

console = Console(quiet=os.environ.get("RANK", "0") != "0")  # of several ranks only rank 0 prints

RECIPE_PANEL = "Recipe"
MODEL_PANEL = "Model"
SERVER_PANEL = "Model behind a server"
OUTPUT_PANEL = "Output"
"""Panels of the help texts."""


def _parse_recipe(name_or_path: str) -> Path:
    from harken.config.builtin_recipes import recipe_file

    try:
        return recipe_file(name_or_path)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error


def _complete_recipe(beginning: str) -> list[str]:
    """The built-in recipes whose names begin so; a shell offers them for completion."""
    from harken.config.builtin_recipes import builtin_recipes

    return [name for name in builtin_recipes() if name.startswith(beginning)]


RecipeFile = Annotated[
    Path | None,
    typer.Argument(
        help="A YAML file, or the name of a recipe that `harken recipes` lists.",
        parser=_parse_recipe,
        autocompletion=_complete_recipe,
        metavar="RECIPE",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Change one value of the recipe, for example --set grpo.steps=100. May be repeated.",
        metavar="KEY=VALUE",
        rich_help_panel=RECIPE_PANEL,
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        help="Print only warnings, errors and the folder that was written.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print JSON on standard output, one object a line; the last object is the summary.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]
ModelPath = Annotated[
    str, typer.Option("--model", help="A checkpoint folder, a run folder (its newest checkpoint) or a Hub id.")
]
Device = Annotated[
    str, typer.Option("--device", help="Where the model runs: auto, cpu, cuda, cuda:1 and so on; auto prefers a GPU.")
]
WeightsType = Annotated[
    str,
    typer.Option(
        "--dtype",
        help="Number type of the weights: float32, bfloat16, float16, or auto: the checkpoint's own on a GPU, float32 "
        "on a CPU.",
    ),
]
ServerAddress = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        help="Address of an OpenAI-compatible server, up to and including /v1.",
        rich_help_panel=SERVER_PANEL,
    ),
]
ApiKeyVariable = Annotated[
    str | None,
    typer.Option(
        "--api-key-env",
        help="Name of the environment variable that holds the server's key.",
        rich_help_panel=SERVER_PANEL,
    ),
]
Concurrency = Annotated[
    int | None,
    typer.Option(
        "--concurrency",
        help="How many requests are under way at the same time. Default: the recipe's, or 16.",
        rich_help_panel=SERVER_PANEL,
    ),
]


def check_dtype(name: str, *, auto: bool = True) -> None:
    """Refuse a `--dtype` that names no type.

    Args:
        auto: whether it may be auto.
    """
    from harken.models.loading import DTYPES

    names = [*["auto"] * auto, *DTYPES]
    if name not in names:
        raise typer.BadParameter(
            f"{name!r}{did_you_mean(name, names)}: one of {', '.join(names)}", param_hint="--dtype"
        )


def recipe_values(context: typer.Context, recipe_keys: Mapping[str, str]) -> dict[str, Any]:
    """The values that options put into a recipe: dotted key -> value, None where the option was not given.

    Args:
        recipe_keys: parameter of the command -> dotted key of the recipe.
    """
    return {key: context.params[name] for name, key in recipe_keys.items() if name in context.params}


def check_names(sources: Iterable["SourceConfig"], prompt: "PromptConfig") -> None:
    """Raise ConfigError, with the names that exist, for a reader or a prompt style that harken does not know."""
    from harken.benchmarks.registry import find_reader
    from harken.questions.prompt import Prompt

    for source in sources:
        find_reader(source.reader)
    Prompt.from_config(prompt)


def check_files(files: Mapping[str, Path], origin: Path | str) -> None:
    """Raise DataError for a data file that cannot be read, before torch is imported, which takes seconds.

    Args:
        files: dotted key of the recipe -> the file that it names.
        origin: the file or the command that the recipe comes from, for the error.
    """
    for key, file in files.items():
        try:
            file.open("rb").close()
        except OSError as error:
            raise DataError(f"{origin}: {key}: {file}: cannot be read: {error.strerror}") from error


def console_for(quiet: bool, as_json: bool) -> Console:
    """Where a command prints; with --quiet or --json nowhere, and warnings go to standard error."""
    if quiet and as_json:
        raise typer.BadParameter("give one of --quiet and --json", param_hint="--quiet")
    return Console(quiet=True) if quiet or as_json else console


def print_end(summary: Mapping[str, Any], folder: Path, commands: Sequence[str], quiet: bool, as_json: bool) -> None:
    """Print the summary or the folder that a command wrote, and the commands to run next."""
    if console.quiet:
        return
    if as_json:
        next_commands = {"next": commands} if commands else {}
        print_json_line({**summary, "folder": str(folder), **next_commands})
    elif quiet:
        print_line(console, str(folder))
    elif commands:
        print_line(console, "next:")
        for line in commands:
            print_line(console, f"  {line}")


def refuse_empty(written: Path, rejected: Path) -> None:
    """Raise DataError with the commonest reasons where a command has kept no record.

    The next command could do nothing with an empty file.
    """
    if written.stat().st_size:
        return
    from harken.data.reject_reasons import commonest_reasons
    from harken.system.json_lines import read_json_lines

    rows = read_json_lines(rejected)
    reasons = commonest_reasons(row["reason"] for row in rows)
    first = f"\nThe first record is that of {rows[0]['file']}:{rows[0]['line']}" if rows else ". The source holds none"
    raise DataError(f"{written}: no record was kept; the reasons are in {rejected}{reasons}{first}")
