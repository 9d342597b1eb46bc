"""`harken extend`: goes on with a run for more steps than it was planned for."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.next_steps import next_steps
from harken.cli.options import AsJson, Quiet, console_for, print_end
from harken.cli.training_command import AcceptChanges
from harken.system.console import print_json_line, print_line


def extend(
    run: Annotated[Path, typer.Argument(help="The folder of a run, finished or stopped.", metavar="RUN")],
    steps: Annotated[int, typer.Option("--steps", min=1, help="The new number of all steps, those before included.")],
    accept_changes: AcceptChanges = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Go on with a run for more steps, and say which learning rates they have. The run's history shows it.

    If this is stopped, `harken train --resume RUN` or `harken sft --resume RUN` continues it.
    """
    from harken.grpo.loop import train
    from harken.training.extend_run import extend_run
    from harken.training.sft import sft

    screen = console_for(quiet, as_json)
    recipe, loop, schedule = extend_run(run, steps)
    print_line(screen, schedule)
    go_on = train if loop == "grpo" else sft
    on_row = print_json_line if as_json else None
    checkpoint = go_on(recipe, run, screen, resume=True, accept_changes=accept_changes, on_row=on_row)
    print_line(screen, f"checkpoint: {checkpoint}")
    print_end({"checkpoint": str(checkpoint)}, run, next_steps(recipe, run), quiet, as_json)
