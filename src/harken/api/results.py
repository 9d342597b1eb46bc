"""The results of evaluations: accuracies with intervals, rows, data frames, and tables that a notebook shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harken.api.frames import frame
from harken.results.evaluation_rows import read_evaluation_rows
from harken.stats import Estimate
from harken.system.json_lines import read_json_lines

if TYPE_CHECKING:
    from pandas import DataFrame


class Share(NamedTuple):
    """A share of `n` questions with its 95 % interval, clustered by clip."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Evaluation:
    """One evaluation folder. On every rank of a distributed evaluation but the first, `summary` is empty.

    Attributes:
        folder: where the files are (docs/evaluation.md); an evaluation can stand wherever a path is wanted.
        summary: what summary.json holds.
    """

    folder: Path
    summary: Mapping[str, Any] = field(repr=False)

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def accuracy(self) -> Estimate | None:
        """The share of all questions that is right; None where the benchmark hides its answers."""
        return self.by_group.get("all")

    @property
    def by_group(self) -> dict[str, Estimate]:
        """Accuracy of all questions, of each task, each difficulty, and each task and difficulty."""
        return {name: Estimate(**figure) for name, figure in self.summary["accuracy"].items()}

    @property
    def chance(self) -> float | None:
        """The accuracy of guessing; None where no question has choices."""
        return self.summary["chance"]

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """predictions.jsonl: one row for each question, with the completion and its grade."""
        return read_evaluation_rows(self.folder)

    def predictions(self) -> "DataFrame":
        """The same rows as a data frame. Raises ConfigError where pandas is not installed."""
        return frame(self.rows)

    def __str__(self) -> str:
        figure = self.accuracy
        if figure is None:
            return f"{self.summary['n']} questions, whose answers are hidden or open"
        chance = "" if self.chance is None else f", chance {100 * self.chance:.1f} %"
        return f"{percent(figure)} of {figure.n}{chance}"

    def _repr_html_(self) -> str:
        rows = [(name, str(figure.n), percent(figure)) for name, figure in self.by_group.items()]
        return html_table(("questions", "n", "accuracy [95 %]"), rows)


@dataclass(frozen=True)
class Listening:
    """The same questions with five kinds of audio.

    Attributes:
        folder: holds an evaluation for each kind, listening.jsonl and listening.json.
        figures: what listening.json holds.
    """

    folder: Path
    figures: Mapping[str, Any] = field(repr=False)

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def accuracy(self) -> dict[str, Estimate]:
        """Kind of audio (real, none, silence, noise, shuffled) -> accuracy; empty where answers are hidden."""
        modes = self.figures["modes"]
        return {mode: Estimate(**figure["accuracy"]) for mode, figure in modes.items() if figure["accuracy"]}

    @property
    def audio_gain(self) -> Estimate | None:
        """Accuracy with the clip minus accuracy without it, paired by question."""
        gain = self.figures["audio_gain"]
        return None if gain is None else Estimate(**gain)

    @property
    def evaluations(self) -> dict[str, Path]:
        """Kind of audio -> its evaluation folder."""
        return {mode: self.folder / mode for mode in self.figures["modes"]}

    def questions(self) -> "DataFrame":
        """One row for each question: right or wrong with each kind of audio. Raises ConfigError without pandas."""
        return frame(read_json_lines(self.folder / "listening.jsonl"))

    def __str__(self) -> str:
        return ", ".join(f"{mode} {percent(figure)}" for mode, figure in self.accuracy.items())

    def _repr_html_(self) -> str:
        return html_table(
            ("what is heard", "n", "accuracy [95 %]"),
            [(mode, str(figure.n), percent(figure)) for mode, figure in self.accuracy.items()],
        )


@dataclass(frozen=True)
class Tasks:
    """Evaluations of one model on several benchmarks.

    Attributes:
        folder: holds an evaluation for each task, and tasks.json.
        summaries: name of a task -> what its summary.json holds.
    """

    folder: Path
    summaries: Mapping[str, Mapping[str, Any]] = field(repr=False)

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        return {name: Evaluation(self.folder / name, summary) for name, summary in self.summaries.items()}

    @property
    def accuracy(self) -> dict[str, Estimate]:
        """Name of a task -> accuracy over all its questions; without tasks whose answers are hidden."""
        figures = {name: evaluation.accuracy for name, evaluation in self.evaluations.items()}
        return {name: figure for name, figure in figures.items() if figure is not None}

    def _repr_html_(self) -> str:
        rows = [(name, str(figure.n), percent(figure)) for name, figure in self.accuracy.items()]
        return html_table(("task", "n", "accuracy [95 %]"), rows)


def percent(figure: Estimate | Share) -> str:
    """`66.3 % [61.9, 70.4]`."""
    return f"{100 * figure.mean:.1f} % [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for a notebook; every text is escaped."""
    head = "".join(f"<th style='text-align:left'>{escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
