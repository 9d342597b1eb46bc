"""`harken demo`: the whole job on built-in sounds."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.next_steps import command
from harken.cli.options import AsJson, Quiet, console_for, print_end
from harken.system.console import print_json_line


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
    from harken.cli.demo_run import run_demo

    summary = run_demo(out, seed, screen, on_row=print_json_line if as_json else None)
    print_end(summary, out, [command(["harken", "report", str(out / "grpo"), "--open"])], quiet, as_json)
