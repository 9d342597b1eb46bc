"""`harken demo`, `train`, `sft` and `plan`: a recipe, or a run to go on with, its loop and the memory it takes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harken.cli.options import (
    AsJson,
    DryRun,
    Overrides,
    Quiet,
    RecipeFile,
    Resume,
    RunOut,
    check_names,
    console,
    end,
    screen_of,
)
from harken.system.console import print_json_line, print_line

if TYPE_CHECKING:
    from harken.config import Recipe


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for data, checkpoints and runs.")] = Path("runs/demo"),
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """The whole job on built-in sounds: warm start, GRPO, evaluation with and without audio. No network, no GPU."""
    screen = screen_of(quiet, as_json)
    from harken.cli.demo_run import run_demo
    from harken.cli.next_steps import command

    found = run_demo(out, seed, screen, on_row=print_json_line if as_json else None)
    end(found, out, [command(["harken", "report", str(out / "grpo"), "--open"])], quiet, as_json)


def train(
    recipe: RecipeFile = None,
    overrides: Overrides = None,
    out: RunOut = None,
    resume: Resume = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train with GRPO."""
    screen = screen_of(quiet, as_json)
    resolved, folder = _resolve(recipe, overrides, out, resume, "")
    if dry_run:
        _dry_run(resolved)
        return
    from harken.grpo.loop import train as run

    checkpoint = run(resolved, folder, screen, resume=resume is not None, on_row=print_json_line if as_json else None)
    _trained(resolved, folder, checkpoint, quiet, as_json)


def sft(
    recipe: RecipeFile = None,
    overrides: Overrides = None,
    out: RunOut = None,
    resume: Resume = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Fine-tune on the answers, with the same prompts and data."""
    screen = screen_of(quiet, as_json)
    resolved, folder = _resolve(recipe, overrides, out, resume, "-sft")
    if dry_run:
        _dry_run(resolved)
        return
    from harken.training.sft import sft as run

    checkpoint = run(resolved, folder, screen, resume=resume is not None, on_row=print_json_line if as_json else None)
    _trained(resolved, folder, checkpoint, quiet, as_json)


def plan(
    recipe: RecipeFile,
    gpu_memory: Annotated[float, typer.Option("--gpu-memory", min=1, help="GiB of one card.")],
    gpus: Annotated[int, typer.Option("--gpus", min=1, help="Cards that weights and states are spread over.")] = 1,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="Length of a clip.")] = 10.0,
    overrides: Overrides = None,
) -> None:
    """Does GRPO with this recipe fit a card, and which settings would? Nothing is loaded."""
    from harken.config import load_recipe
    from harken.planning.plan import print_plan

    assert recipe is not None
    resolved = load_recipe(recipe, overrides or [])
    check_names(resolved.data.train, resolved.prompt)
    if not print_plan(resolved, gpu_memory, gpus, seconds, console):
        raise typer.Exit(1)


def _resolve(
    recipe: Path | None, overrides: list[str] | None, out: Path | None, resume: Path | None, suffix: str
) -> "tuple[Recipe, Path]":
    """(recipe, run folder) of a new run or of one that goes on."""
    from harken.config import load_recipe, load_run_recipe

    if (recipe is None) == (resume is None):
        raise typer.BadParameter("give a recipe to start a run, or --resume RUN to go on with one", param_hint="RECIPE")
    if resume is not None:
        if overrides or out is not None:
            raise typer.BadParameter(
                "a resumed run keeps its settings and its folder: no --set, no --out", param_hint="--resume"
            )
        return load_run_recipe(resume), resume
    assert recipe is not None
    resolved = load_recipe(recipe, overrides or [])
    check_names(resolved.data.train, resolved.prompt)
    return resolved, out or Path("runs") / f"{resolved.name}{suffix}"


def _trained(recipe: "Recipe", run: Path, checkpoint: Path, quiet: bool, as_json: bool) -> None:
    from harken.cli.next_steps import next_steps

    if not quiet and not as_json:
        print_line(console, f"checkpoint: {checkpoint}")
    end({"checkpoint": str(checkpoint)}, run, next_steps(recipe, run), quiet, as_json)


def _dry_run(recipe: "Recipe") -> None:
    from harken.cli.dry_run import first_prompt
    from harken.config import as_yaml

    console.print(as_yaml(recipe), markup=False, highlight=False)
    console.print(first_prompt(recipe), markup=False, highlight=False, soft_wrap=True)
