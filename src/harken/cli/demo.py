"""`harken demo`: the whole job on built-in sounds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harken.cli.next_steps import command
from harken.cli.options import AsJson, Quiet, console_for, print_end
from harken.system.console import print_json_line

if TYPE_CHECKING:
    from harken.training.training_step import TrainingStep


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the data, the checkpoints and the runs.")] = Path(
        "runs/demo"
    ),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Changes the sounds, the model and the samples.")] = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run the whole job on built-in sounds: make a tiny model, train it, and evaluate it with and without audio.

    It takes a few minutes and needs no network and no GPU.
    """
    screen = console_for(quiet, as_json)
    from harken.api.demo import run_demo

    summary = run_demo(out, seed, console=screen, on_step=_print_step if as_json else None)
    print_end(summary, out, [command(["harken", "report", str(out / "grpo"), "--open"])], quiet, as_json)


def _print_step(run: str, step: "TrainingStep") -> None:
    if step.shown:
        print_json_line({"run": run, **step.row})
