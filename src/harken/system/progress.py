"""The progress of a loop: a bar with rate and time left on a terminal, and plain lines everywhere else."""

import time
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

OnProgress = Callable[[int, int], None]
"""Called with (steps done, steps in all). `StepProgress.update` is one."""


def no_progress(done: int, total: int) -> None:
    """The `OnProgress` that shows nothing."""


class StepProgress:
    """Use it as a context manager, and call `advance` or `update` after each step.

    Args:
        label: what the lines begin with.
        total: number of steps; 0 when only the calls of `update` know it.
        every: without a terminal, a line is printed each time this many further steps are done.
        done: steps that an earlier command has done.
    """

    def __init__(self, console: Console, label: str, total: int, every: int, *, done: int = 0) -> None:
        self._console, self._label, self._every = console, label, every
        self._plain = not console.is_terminal or console.is_dumb_terminal
        self.total = total
        self._first, self._done, self._start = done, done, time.perf_counter()
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}", style="cyan"),
            console=console,
            disable=self._plain,
        )
        self._task = self._bar.add_task(label, total=total, rate="", figures="")

    def __enter__(self) -> "StepProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self, done: int, total: int) -> None:
        """Set both counts. When the total was 0, the rate and the time left count from this call."""
        if self.total == 0:
            self._first, self._done, self._start = done, done, time.perf_counter()
        self.total = total
        self.advance({}, done - self._done)

    def advance(self, figures: Mapping[str, float], n: int = 1) -> None:
        """Count `n` more steps and show the figures."""
        before, self._done = self._done, self._done + n
        elapsed_s = time.perf_counter() - self._start
        rate = (self._done - self._first) / elapsed_s if elapsed_s > 0 else 0.0
        shown = "  ".join(f"{name} {value:.3g}" for name, value in figures.items())
        self._bar.update(self._task, completed=self._done, total=self.total, rate=f"{rate:.2f}/s", figures=shown)
        line_due = self._done // self._every > before // self._every or self._done == self.total
        if self._plain and line_due:
            left_s = (self.total - self._done) / rate if rate > 0 else 0.0
            self._console.print(
                f"{self._label} {self._done}/{self.total}  {rate:.2f}/s  {left_s:.0f} s left  {shown}",
                highlight=False,
                soft_wrap=True,
            )
