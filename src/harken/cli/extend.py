"""`harken extend`: goes on with a run for more steps than it was planned for."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.next_steps import next_steps
from harken.cli.options import AsJson, Quiet, console_for, print_end
from harken.cli.training_command import AcceptChanges, print_step
from harken.system.console import print_line


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
    from harken.api.training import sft, train
    from harken.training.extend_run import extend_run

    screen = console_for(quiet, as_json)
    recipe, loop, schedule = extend_run(run, steps)
    print_line(screen, schedule)
    go_on = train if loop == "grpo" else sft
    on_step = print_step if as_json else None
    done = go_on(recipe, run, resume=True, accept_changes=accept_changes, on_step=on_step, console=screen)
    print_line(screen, f"checkpoint: {done.checkpoint}")
    print_end({"checkpoint": str(done.checkpoint)}, run, next_steps(recipe, run), quiet, as_json)
