"""What `harken train` and `harken sft` share: their options, and how a run starts, resumes and ends."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harken.cli.next_steps import next_steps
from harken.cli.options import (
    OUTPUT_PANEL,
    RECIPE_PANEL,
    AsJson,
    Overrides,
    Quiet,
    RecipeFile,
    check_files,
    check_names,
    console,
    console_for,
    print_end,
)
from harken.system.console import print_json_line, print_line

if TYPE_CHECKING:
    from harken.api.runs import Run
    from harken.config import Recipe
    from harken.training.training_step import TrainingStep

Resume = Annotated[
    Path | None,
    typer.Option(
        "--resume",
        help="Continue the stopped run in this folder with its own settings, instead of starting from a recipe. --set "
        "changes those on which no result depends.",
        metavar="RUN",
        rich_help_panel=RECIPE_PANEL,
    ),
]
AcceptChanges = Annotated[
    bool,
    typer.Option(
        "--accept-changes",
        help="Go on with a stopped run although data, recipe, base checkpoint or versions have changed, and write what "
        "changed into the run's history.",
        rich_help_panel=RECIPE_PANEL,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print all settings and the first prompt as the model would read it, and stop.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]


def training_command(
    load_loop: Callable[[], Callable[..., "Run"]], about: str, suffix: str = ""
) -> Callable[..., None]:
    """Make the command that trains with one of the two loops.

    Args:
        load_loop: imports the loop and returns it. It is called when the command runs: the loop imports torch.
        about: help text of the command.
        suffix: what the default run folder has after the recipe's name.
    """
    default_out = f"Run folder to write. Default: runs/NAME{suffix}, with the name that the recipe states."

    def command(
        recipe: RecipeFile = None,
        overrides: Overrides = None,
        out: Annotated[Path | None, typer.Option("--out", help=default_out, rich_help_panel=OUTPUT_PANEL)] = None,
        resume: Resume = None,
        accept_changes: AcceptChanges = False,
        dry_run: DryRun = False,
        quiet: Quiet = False,
        as_json: AsJson = False,
    ) -> None:
        screen = console_for(quiet, as_json)
        settings, folder = _settings_and_folder(recipe, overrides, out, resume, suffix)
        if accept_changes and resume is None:
            raise typer.BadParameter("goes with --resume RUN", param_hint="--accept-changes")
        origin = recipe or folder / "config.yaml"
        if dry_run:
            _print_dry_run(settings, origin)
            return
        print_line(screen, f"starting {settings.name} in {folder}")
        _check_data_files(settings, origin)
        on_step = print_step if as_json else None
        resumed = {"resume": resume is not None, "accept_changes": accept_changes}
        run = load_loop()(settings, folder, **resumed, on_step=on_step, console=screen)
        print_line(screen, f"checkpoint: {run.checkpoint}")
        print_end({"checkpoint": str(run.checkpoint)}, folder, next_steps(settings, folder), quiet, as_json)

    command.__doc__ = about
    return command


def print_step(step: "TrainingStep") -> None:
    """Print the metric row of a step that the run's table shows as a line of JSON."""
    if step.shown:
        print_json_line(step.row)


def _settings_and_folder(
    recipe: Path | None, overrides: list[str] | None, out: Path | None, resume: Path | None, suffix: str
) -> "tuple[Recipe, Path]":
    """The recipe and the run folder of a new run, or of one that is resumed."""
    from harken.config import load_recipe, load_run_recipe

    if resume is not None:
        if recipe is not None:
            raise typer.BadParameter("give a recipe to start a run, or --resume RUN, not both", param_hint="RECIPE")
        if out is not None:
            raise typer.BadParameter("a resumed run keeps its folder: no --out", param_hint="--resume")
        return load_run_recipe(resume, overrides or []), resume
    if recipe is None:
        raise typer.BadParameter("give a recipe to start a run, or --resume RUN to continue one", param_hint="RECIPE")
    settings = load_recipe(recipe, overrides or [])
    check_names(settings.data.train, settings.prompt)
    return settings, out or Path("runs") / f"{settings.name}{suffix}"


def _check_data_files(recipe: "Recipe", origin: Path) -> None:
    check_files({f"data.train.{i}.file": source.file for i, source in enumerate(recipe.data.train)}, origin)


def _print_dry_run(recipe: "Recipe", origin: Path) -> None:
    from harken.config import as_yaml
    from harken.inference.first_prompt import first_prompt

    console.print(as_yaml(recipe), markup=False, highlight=False, soft_wrap=True)
    _check_data_files(recipe, origin)
    console.print(first_prompt(recipe), markup=False, highlight=False, soft_wrap=True)
