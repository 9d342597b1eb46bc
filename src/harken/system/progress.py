"""The progress of a loop: a bar with rate and time left on a terminal, and plain lines everywhere else.

Every command shows its progress in this form: `evaluate 650/1,000  5.00/s  70 s left`.
"""

import time
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.live import Live
from rich.text import Text

from harken.system.console import print_line

OnProgress = Callable[[int, int], None]
"""Called with (steps done, steps in all). `StepProgress.update` is one."""

LONGEST_SILENCE_S = 30.0
"""Without a terminal a line is due after this time, however few steps were done."""


def no_progress(done: int, total: int) -> None:
    """The `OnProgress` that shows nothing."""


class StepProgress:
    """Use it as a context manager, and call `advance` or `update` after each step.

    Args:
        label: what the lines begin with.
        total: number of steps; 0 when only the calls of `update` know it. Nothing is shown before it is known.
        every: without a terminal, a line is printed each time this many further steps are done.
        done: steps that an earlier command has done.
    """

    def __init__(self, console: Console, label: str, total: int, every: int, *, done: int = 0) -> None:
        self._console, self._label, self._every = console, label, every
        self.total = total
        self._first, self._done, self._start = done, done, time.perf_counter()
        self._last_line, self._figures = self._start, ""
        self._live: Live | None = None
        if console.is_terminal and not console.is_dumb_terminal and not console.quiet:
            self._live = Live(console=console, get_renderable=self._bar, refresh_per_second=4, transient=False)

    def __enter__(self) -> "StepProgress":
        if self.total > 0:
            self._begin()
        return self

    def _begin(self) -> None:
        """Show the counts before the first step is done, which may take long."""
        self._last_line = time.perf_counter()
        if self._live is not None:
            self._live.start()
        elif self._done < self.total:
            print_line(self._console, f"{self._label} {self._done:,}/{self.total:,}")

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, done: int, total: int) -> None:
        """Set both counts. When the total was 0, the rate and the time left count from this call."""
        if self.total == 0 and total > 0:
            self._first, self._done, self._start, self.total = done, done, time.perf_counter(), total
            self._begin()
        else:
            self.total = total
            self.advance({}, done - self._done)

    def advance(self, figures: Mapping[str, float], n: int = 1) -> None:
        """Count `n` more steps and show the figures."""
        before, self._done = self._done, self._done + n
        self._figures = "  ".join(f"{name} {value:.3g}" for name, value in figures.items())
        if self._live is not None or self.total == 0:
            return
        now = time.perf_counter()
        counted = self._done // self._every > before // self._every or self._done == self.total
        if counted or now - self._last_line >= LONGEST_SILENCE_S:
            self._last_line = now
            print_line(self._console, self._line())

    def _line(self) -> str:
        rate, left_s = speed(self._first, self._done, self.total, self._start)
        words = [f"{self._label} {self._done:,}/{self.total:,}", f"{rate:.2f}/s"]
        words += [f"{spoken(left_s)} left"] * (left_s is not None) + [self._figures] * bool(self._figures)
        return "  ".join(words)

    def _bar(self) -> Text:
        rate, left_s = speed(self._first, self._done, self.total, self._start)
        gone_s = time.perf_counter() - self._start
        about = "  ".join([f"{rate:.2f}/s", *([self._figures] if self._figures else [])])
        return progress_bar(self._label, self._done, self.total, gone_s, left_s, self._console.width, about)


def speed(first: int, done: int, total: int, start: float) -> tuple[float, float | None]:
    """(steps a second, seconds left or None while nothing is known), from the steps done since `start`."""
    elapsed_s = time.perf_counter() - start
    rate = (done - first) / elapsed_s if elapsed_s > 0 else 0.0
    return rate, (total - done) / rate if rate > 0 else None


def progress_bar(
    label: str, done: int, total: int, gone_s: float, left_s: float | None, columns: int, about: str = ""
) -> Text:
    """One line: counts, a bar where there is room for it, and times. `about` is left out where there is no room."""
    head = f"{label} {done:,}/{total:,}"
    times = f"{spoken(gone_s)} gone" + ("" if left_s is None else f", {spoken(left_s)} left")
    bar = Text(head, style="bold")
    room = min(40, columns - len(head) - len(times) - 4 - (len(about) + 2 if about else 0))
    if room < 8:
        about, room = "", min(40, columns - len(head) - len(times) - 4)
    if room >= 8:
        filled = round(room * done / max(1, total))
        bar.append("  ").append("━" * filled, "green").append("─" * (room - filled), "dim")
    bar.append(f"  {times}", "not bold").append(f"  {about}" if about else "", "not bold")
    bar.no_wrap, bar.overflow = True, "crop"
    return bar


def spoken(seconds: float | None) -> str:
    """A time as people say it: 58 s, 12 min, 3 h 05."""
    if seconds is None:
        return ""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d}"
