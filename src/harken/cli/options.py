"""What several commands share: the console, their options and what those stand for."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from harken.config.builtin_recipes import recipe_file
from harken.errors import ConfigError
from harken.system.console import print_json_line, print_line

if TYPE_CHECKING:
    import torch

    from harken.config import PromptConfig, SourceConfig


console = Console(quiet=os.environ.get("RANK", "0") != "0")  # of several ranks the first speaks


def _recipe(said: str) -> Path:
    try:
        return recipe_file(said)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error


RecipeFile = Annotated[
    Path | None,
    typer.Argument(
        help="YAML recipe, or the name of one that `harken recipes` lists.", parser=_recipe, metavar="RECIPE"
    ),
]
Resume = Annotated[
    Path | None, typer.Option("--resume", help="Go on with the run in this folder, instead of a recipe.")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="key.path=value, over the recipe's.", metavar="KEY=VALUE")
]
RunOut = Annotated[
    Path | None, typer.Option("--out", help="Run folder; default runs/<name> (runs/<name>-sft for sft).")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the resolved config and one rendered prompt, then stop.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Only warnings, errors and the folder that was written.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, one object a line; the last sums up.")]
ModelPath = Annotated[str, typer.Option("--model", help="Checkpoint folder or Hub id.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, ...")]
Precision = Annotated[str, typer.Option("--dtype", help="float32, bfloat16 or float16 weights.")]


def weights_type(name: str) -> "torch.dtype":
    """The type that `--dtype` names."""
    from harken.evaluation.evaluate import DTYPES

    if name not in DTYPES:
        raise typer.BadParameter(f"{name!r}: one of {', '.join(DTYPES)}", param_hint="--dtype")
    return DTYPES[name]


def check_names(sources: Iterable["SourceConfig"], prompt: "PromptConfig") -> None:
    """Raise ConfigError, with the names that there are, for a reader or a prompt style that harken does not know."""
    from harken.benchmarks.registry import find_reader
    from harken.questions.prompt import Prompt

    for source in sources:
        find_reader(source.reader)
    Prompt.from_config(prompt)


def screen_of(quiet: bool, as_json: bool) -> Console:
    """Where a command speaks; with either flag nowhere, and warnings go to standard error."""
    if quiet and as_json:
        raise typer.BadParameter("give one of --quiet and --json", param_hint="--quiet")
    return Console(quiet=True) if quiet or as_json else console


def end(summary: Mapping[str, Any], folder: Path, commands: Sequence[str], quiet: bool, as_json: bool) -> None:
    """The last words of a command that wrote a folder, and what to run next."""
    if console.quiet:
        return
    if as_json:
        print_json_line({**summary, "folder": str(folder), **({"next": commands} if commands else {})})
    elif quiet:
        print_line(console, str(folder))
    elif commands:
        print_line(console, "next:")
        for line in commands:
            print_line(console, f"  {line}")
