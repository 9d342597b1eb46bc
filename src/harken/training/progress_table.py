"""What a person sees of a training run: a live table on a terminal, plain lines elsewhere.

On a terminal the newest values are redrawn once a second below one line with aligned columns for each logged step.
Without a terminal each logged step is one line with the values by name. A value is that of its step, as in
metrics.jsonl, and no mean over several steps.
"""

import time
from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from harken.system.progress import progress_bar, speed, spoken
from harken.training.progress_columns import Column
from harken.training.schedule import is_due


class ProgressTable:
    """Use as a context manager; call `advance` after each step."""

    def __init__(
        self,
        console: Console,
        label: str,
        columns: Sequence[Column],
        *,
        total: int,
        every: int,
        done: int = 0,
    ) -> None:
        """
        Args:
            label: name of the loop, at the start of a line.
            total: number of steps of the run.
            every: steps between two lines.
            done: number of steps made before.
        """
        self._console, self._label, self._columns = console, label, columns
        self._total, self._every = total, every
        self._first, self._done, self._start = done, done, time.perf_counter()
        self._latest: dict[str, tuple[int, float]] = {}
        self._since_line: dict[str, float] = {}
        self._lines = 0
        self._live: Live | None = None
        if console.is_terminal and not console.is_dumb_terminal and not console.quiet:
            # Once a second, because a step of a large model takes longer, and the time must be seen to go on.
            self._live = Live(console=console, get_renderable=self._live_part, refresh_per_second=1, transient=True)

    def __enter__(self) -> "ProgressTable":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def advance(self, step: int, metrics: Mapping[str, float], *, stop: bool = False) -> None:
        """Take the metric row of a step.

        Args:
            stop: this is the last step, whatever was planned.
        """
        self._done = step
        self._latest |= {name: (step, value) for name, value in metrics.items()}
        self._since_line |= metrics
        if not stop and not is_due(step, self._every, self._total):
            return
        if self._live is None:
            self._console.print(Text(self._plain_line()), soft_wrap=True)
        else:
            self._print_table_line()
        self._since_line = {}

    @property
    def _steps_per_s(self) -> float:
        return speed(self._first, self._done, self._total, self._start)[0]

    @property
    def _left_s(self) -> float | None:
        return speed(self._first, self._done, self._total, self._start)[1]

    def _plain_line(self) -> str:
        left_s = self._left_s
        words = [
            f"{self._label} {self._done:,}/{self._total:,}",
            f"{self._steps_per_s:.2f} steps/s",
            *([] if left_s is None else [f"{spoken(left_s)} left"]),
        ]
        for column in self._columns:
            if column.key in self._since_line:
                words.append(f"{column.heading} {column.as_text(self._since_line[column.key])}")
        return "  ".join(words)

    def _print_table_line(self) -> None:
        """Print one line that stays, with the headings above the first and above every twentieth."""
        digits = max(len("step"), len(str(self._total)))
        cells = [
            (f"{'step':>{digits}}", f"{self._done:>{digits}}"),
            (f"{'left':>7}", f"{spoken(self._left_s):>7}"),
            (f"{'steps/s':>7}", f"{self._steps_per_s:>7.2f}"),
        ]
        for column in self._columns:
            if column.key in self._latest or column.measured_rarely:
                value = self._since_line.get(column.key)
                text = "" if value is None else column.as_text(value)
                cells.append((f"{column.heading:>{column.width}}", f"{text:>{column.width}}"))
        if self._lines % 20 == 0:
            self._print_cells([heading for heading, _ in cells], "dim")
        self._print_cells([text for _, text in cells], "")
        self._lines += 1

    def _print_cells(self, cells: Sequence[str], style: str) -> None:
        """Print as many whole cells as the terminal is wide."""
        line = cells[0]
        for cell in cells[1:]:
            if cell_len(line) + 2 + cell_len(cell) > self._console.width:
                break
            line += f"  {cell}"
        self._console.print(Text(line, style=style), no_wrap=True, overflow="crop")

    def _live_part(self) -> Group:
        """The part that is redrawn: a bar with times, and every newest value in cells of one width."""
        values = [
            Text.assemble((f"{heading} ", "dim"), (text, "cyan"))
            for heading, text in [*self._newest_values(), *self._speed()]
        ]
        width = max((value.cell_len for value in values), default=0) + 2
        per_line = max(1, self._console.width // width)
        lines = [self._bar()]
        for start in range(0, len(values), per_line):
            line = Text()
            for value in values[start : start + per_line]:
                line.append_text(value).append(" " * (width - value.cell_len))
            line.rstrip()
            lines.append(line)
        for line in lines:
            line.no_wrap, line.overflow = True, "crop"
        return Group(*lines)

    def _bar(self) -> Text:
        gone_s = time.perf_counter() - self._start
        return progress_bar(self._label, self._done, self._total, gone_s, self._left_s, self._console.width)

    def _newest_values(self) -> list[tuple[str, str]]:
        """(heading, text) of every value that was measured so far, with its step where that is not the newest."""
        values = []
        for column in self._columns:
            if column.key in self._latest:
                step, value = self._latest[column.key]
                values.append((column.heading, column.as_text(value) + ("" if step == self._done else f" at {step}")))
        return values

    def _speed(self) -> list[tuple[str, str]]:
        return [("steps/s", f"{self._steps_per_s:.2f}")] if self._done > self._first else []
