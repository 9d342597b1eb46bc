"""`harken demo`, `train` and `sft`: a recipe, or a run to go on with, and its loop."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from harken.commands.options import DryRun, Overrides, RecipeFile, Resume, RunOut, console

if TYPE_CHECKING:
    from harken.config import Recipe


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for data, checkpoints and runs.")] = Path("runs/demo"),
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
) -> None:
    """The whole job on built-in sounds: warm start, GRPO, evaluation with and without audio. No network, no GPU."""
    from harken.demo import run_demo

    run_demo(out, seed, console)


def train(
    recipe: RecipeFile = None,
    overrides: Overrides = None,
    out: RunOut = None,
    resume: Resume = None,
    dry_run: DryRun = False,
) -> None:
    """Train with GRPO."""
    resolved, folder = _resolve(recipe, overrides, out, resume, "")
    if dry_run:
        _dry_run(resolved)
        return
    from harken.train import train as run

    checkpoint = run(resolved, folder, console, resume=resume is not None)
    console.print(f"checkpoint: {escape(str(checkpoint))}", highlight=False, soft_wrap=True)


def sft(
    recipe: RecipeFile = None,
    overrides: Overrides = None,
    out: RunOut = None,
    resume: Resume = None,
    dry_run: DryRun = False,
) -> None:
    """Fine-tune on the answers, with the same prompts and data."""
    resolved, folder = _resolve(recipe, overrides, out, resume, "-sft")
    if dry_run:
        _dry_run(resolved)
        return
    from harken.sft import sft as run

    checkpoint = run(resolved, folder, console, resume=resume is not None)
    console.print(f"checkpoint: {escape(str(checkpoint))}", highlight=False, soft_wrap=True)


def _resolve(
    recipe: Path | None, overrides: list[str] | None, out: Path | None, resume: Path | None, suffix: str
) -> "tuple[Recipe, Path]":
    """(recipe, run folder) of a new run or of one that goes on."""
    from harken.config import load_recipe

    if (recipe is None) == (resume is None):
        raise typer.BadParameter("give a recipe to start a run, or --resume RUN to go on with one", param_hint="RECIPE")
    if resume is not None:
        if overrides or out is not None:
            raise typer.BadParameter(
                "a resumed run keeps its settings and its folder: no --set, no --out", param_hint="--resume"
            )
        return load_recipe(resume / "config.yaml"), resume
    assert recipe is not None
    resolved = load_recipe(recipe, overrides or [])
    return resolved, out or Path("runs") / f"{resolved.name}{suffix}"


def _dry_run(recipe: "Recipe") -> None:
    import yaml

    from harken.dry_run import first_prompt

    console.print(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False), markup=False, highlight=False)
    console.print(first_prompt(recipe), markup=False, highlight=False, soft_wrap=True)
