"""The values of a metric row that a training run shows on the console, for each loop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len


@dataclass(frozen=True, slots=True)
class Column:
    """One value of the metric row.

    Attributes:
        key: its name in the metric row.
        heading: its name on the console.
        as_text: writes a value.
        text_width: width of the longest text of a value.
        measured_rarely: not every step measures it; its column is there from the first line on.
    """

    key: str
    heading: str
    as_text: Callable[[float], str]
    text_width: int = 6
    measured_rarely: bool = False

    @property
    def width(self) -> int:
        return max(self.text_width, cell_len(self.heading))


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _three_digits(value: float) -> str:
    return f"{value:.3g}" if abs(value) >= 0.001 or value == 0 else f"{value:.0e}"


def _whole_number(value: float) -> str:
    return f"{value:,.0f}"


def _one_decimal(value: float) -> str:
    return f"{value:.1f}"


def _three_decimals(value: float) -> str:
    return f"{value:.3f}"


def _gib(value: float) -> str:
    return f"{value:.1f} GiB"


_MEMORY = (Column("memory/peak_gib", "memory", _gib, 8), Column("memory/rss_gib", "memory", _gib, 8))
_DEVELOPMENT = Column("dev/accuracy", "dev", _three_decimals, 5, measured_rarely=True)
_WORD_ERROR_RATE = Column("probe/wer", "wer", _three_decimals, 5, measured_rarely=True)
_SPEED = Column("time/tokens_per_s", "tokens/s", _whole_number)


def grpo_columns(rewards: Sequence[str], *, development: bool, probe: bool) -> list[Column]:
    """The columns of a GRPO run. The most important ones come first, because a narrow terminal cuts off the last."""
    return [
        Column("reward/mean", "reward", _three_decimals),
        *([_DEVELOPMENT] if development else []),
        Column("loss/kl", "kl", _three_digits, 7),
        Column("policy/entropy", "entropy", _three_digits, 7),
        *(Column(f"reward/{name}", name, _three_decimals) for name in rewards),
        Column("reward/equal_groups", "equal", _percent, 5),
        Column("completion/length_mean", "length", _one_decimal),
        *([_WORD_ERROR_RATE] if probe else []),
        _SPEED,
        *_MEMORY,
    ]


def sft_columns(*, development: bool, probe: bool) -> list[Column]:
    return [
        Column("loss/sft", "loss", _three_digits),
        *([_DEVELOPMENT] if development else []),
        Column("policy/grad_norm", "gradient", _three_digits, 7),
        *([_WORD_ERROR_RATE] if probe else []),
        _SPEED,
        *_MEMORY,
    ]
