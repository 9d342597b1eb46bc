"""What a person sees of a training run: a live table on a terminal, plain lines elsewhere.

Takes the metric row of each step, gives three things: on a terminal the newest figures, drawn once a second under the
lines that stay; one line with aligned columns at each logged step; without a terminal the same figures by name. Not
taken: a mean since the last line. A figure is that of its step, as in metrics.jsonl.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from harken.training.schedule import is_due

OnRow = Callable[[Mapping[str, Any]], None]
"""Called with {"step", ...} of each logged step."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a metric row: its key there, what it is called here, how it is written, and how wide a value is."""

    key: str
    name: str
    form: Callable[[float], str]
    width: int = 6

    @property
    def column(self) -> int:
        return max(self.width, cell_len(self.name))


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _three(value: float) -> str:
    return f"{value:.3g}" if abs(value) >= 0.001 or value == 0 else f"{value:.0e}"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _decimals(value: float) -> str:
    return f"{value:.3f}"


def _gib(value: float) -> str:
    return f"{value:.1f} GiB"


_MEMORY = (Figure("memory/peak_gib", "memory", _gib, 8), Figure("memory/rss_gib", "memory", _gib, 8))
_DEV = Figure("dev/accuracy", "dev", _decimals, 5)
_WER = Figure("probe/wer", "wer", _decimals, 5)
_SPEED = Figure("time/tokens_per_s", "tokens/s", _whole)


def grpo_columns(rewards: Sequence[str], *, dev: bool, probe: bool) -> list[Figure]:
    """Those of a GRPO run, the most wanted first: a narrow line ends where the terminal does."""
    return [
        Figure("reward/mean", "reward", _decimals),
        *([_DEV] if dev else []),
        Figure("loss/kl", "kl", _three, 7),
        Figure("policy/entropy", "entropy", _three, 7),
        *(Figure(f"reward/{name}", name, _decimals) for name in rewards),
        Figure("reward/equal_groups", "equal", _share, 5),
        Figure("completion/length_mean", "length", lambda value: f"{value:.1f}"),
        *([_WER] if probe else []),
        _SPEED,
        *_MEMORY,
    ]


def sft_columns(*, dev: bool, probe: bool) -> list[Figure]:
    return [
        Figure("loss/sft", "loss", _three),
        *([_DEV] if dev else []),
        Figure("policy/grad_norm", "gradient", _three, 7),
        *([_WER] if probe else []),
        _SPEED,
        *_MEMORY,
    ]


class ProgressTable:
    """Use as a context manager; call `advance` after each step."""

    def __init__(
        self,
        console: Console,
        label: str,
        figures: Sequence[Figure],
        *,
        total: int,
        every: int,
        done: int = 0,
        on_row: OnRow | None = None,
    ) -> None:
        self._console, self._label, self._figures = console, label, figures
        self._total, self._every, self._on_row = total, every, on_row
        self._first, self._done, self._start = done, done, time.perf_counter()
        self._latest: dict[str, tuple[int, float]] = {}
        self._since_line: dict[str, float] = {}
        self._lines = 0
        self._live: Live | None = None
        if console.is_terminal and not console.is_dumb_terminal and not console.quiet:
            # Once a second: the steps of a large model take longer, and the time must be seen to go on.
            self._live = Live(console=console, get_renderable=self._picture, refresh_per_second=1, transient=True)

    def __enter__(self) -> "ProgressTable":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def advance(self, step: int, row: Mapping[str, float], *, stop: bool = False) -> None:
        """Take the row of a step; `stop`: it is the last one, whatever was planned."""
        self._done = step
        self._latest |= {name: (step, value) for name, value in row.items()}
        self._since_line |= row
        if not stop and not is_due(step, self._every, self._total):
            return
        if self._on_row is not None:
            self._on_row({"step": step, **row})
        if self._live is None:
            self._console.print(Text(self._plain()), soft_wrap=True)
        else:
            self._print_line()
        self._since_line = {}

    @property
    def _rate(self) -> float:
        elapsed_s = time.perf_counter() - self._start
        return (self._done - self._first) / elapsed_s if elapsed_s > 0 else 0.0

    @property
    def _left_s(self) -> float | None:
        return (self._total - self._done) / self._rate if self._rate > 0 else None

    def _plain(self) -> str:
        found = [(one, self._since_line[one.key]) for one in self._figures if one.key in self._since_line]
        left_s = self._left_s
        words = [
            f"{self._label} {self._done}/{self._total}",
            f"{self._rate:.2f} steps/s",
            *([] if left_s is None else [f"{spoken(left_s)} left"]),
            *(f"{one.name} {one.form(value)}" for one, value in found),
        ]
        return "  ".join(words)

    def _print_line(self) -> None:
        """One line that stays, with its headings above the first and above every twentieth."""
        digits = max(len("step"), len(str(self._total)))
        columns = [
            (f"{'step':>{digits}}", f"{self._done:>{digits}}"),
            (f"{'left':>7}", f"{'' if self._left_s is None else spoken(self._left_s):>7}"),
            (f"{'steps/s':>7}", f"{self._rate:>7.2f}"),
        ]
        for one in self._figures:
            if one.key in self._latest or one in (_DEV, _WER):  # of what is measured later the place is kept
                value = self._since_line.get(one.key)
                shown = "" if value is None else one.form(value)
                columns.append((f"{one.name:>{one.column}}", f"{shown:>{one.column}}"))
        if self._lines % 20 == 0:
            self._print_columns([heading for heading, _ in columns], "dim")
        self._print_columns([value for _, value in columns], "")
        self._lines += 1

    def _print_columns(self, columns: Sequence[str], style: str) -> None:
        """As many whole columns as the terminal is wide."""
        line = columns[0]
        for column in columns[1:]:
            if cell_len(line) + 2 + cell_len(column) > self._console.width:
                break
            line += f"  {column}"
        self._console.print(Text(line, style=style), no_wrap=True, overflow="crop")

    def _picture(self) -> Group:
        """The live part: how far, and every newest figure in cells of one width."""
        width = self._console.width
        left_s, gone_s = self._left_s, time.perf_counter() - self._start
        head = f"{self._label} {self._done}/{self._total}"
        times = f"{spoken(gone_s)} gone" + ("" if left_s is None else f", {spoken(left_s)} left")
        bar = Text(head, style="bold")
        room = min(40, width - len(head) - len(times) - 4)
        if room >= 8:
            filled = round(room * self._done / max(1, self._total))
            bar.append("  ").append("━" * filled, "green").append("─" * (room - filled), "dim")
        bar.append(f"  {times}", "not bold")
        cells = [
            Text.assemble((f"{name} ", "dim"), (shown, "cyan")) for name, shown in [*self._newest(), *self._speed()]
        ]
        cell = max((one.cell_len for one in cells), default=0) + 2
        per_line = max(1, width // cell)
        lines = [bar]
        for start in range(0, len(cells), per_line):
            line = Text()
            for one in cells[start : start + per_line]:
                line.append_text(one).append(" " * (cell - one.cell_len))
            line.rstrip()
            lines.append(line)
        for line in lines:
            line.no_wrap, line.overflow = True, "crop"
        return Group(*lines)

    def _newest(self) -> list[tuple[str, str]]:
        """(name, value) of each figure that some step had; of what not every step measures, when it was."""
        found = []
        for one in self._figures:
            if one.key in self._latest:
                step, value = self._latest[one.key]
                found.append((one.name, one.form(value) + ("" if step == self._done else f" at {step}")))
        return found

    def _speed(self) -> list[tuple[str, str]]:
        return [("steps/s", f"{self._rate:.2f}")] if self._done > self._first else []


def spoken(seconds: float) -> str:
    """A time as people say it: 58 s, 12 min, 3 h 05."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d}"
