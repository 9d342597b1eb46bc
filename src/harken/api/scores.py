"""Score predictions that any program wrote, and compare evaluations."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harken.api.results import Share, percent
from harken.config import JudgeConfig, parse
from harken.config.plugins import make_importable
from harken.config.read import read_values
from harken.errors import ConfigError
from harken.judges import open_judge
from harken.judges.answers import judge_predictions
from harken.results.compare import Comparison, compare_folders
from harken.results.score_file import AskJudge, score_file
from harken.types import Question


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of one file of predictions.

    Attributes:
        figures: everything that `harken score --json` prints.
    """

    figures: Mapping[str, Any] = field(repr=False)

    @property
    def official(self) -> Share:
        """The accuracy that the benchmark's own script would print, over the questions that the script counts."""
        return _share(self.figures, "official_accuracy", "n_official")

    @property
    def choice(self) -> Share:
        """harken's own reading of the same predictions, over every question."""
        return _share(self.figures, "choice_accuracy", "n")

    def by(self, label: str) -> dict[str, Share]:
        """The official accuracy of each task, difficulty, category or group of the benchmark's own."""
        groups = self.figures["by"][label]
        return {name: _share(group, "official_accuracy", "n_official") for name, group in groups.items()}

    def __str__(self) -> str:
        official, choice = self.official, self.choice
        return (
            f"{self.figures['benchmark']}: official {percent(official)} of {official.n}, "
            f"strict {percent(choice)} of {choice.n}"
        )


def score(
    benchmark: str,
    data: str | os.PathLike[str],
    predictions: str | os.PathLike[str],
    *,
    letters_shown: bool | None = None,
    key: str | None = None,
    answers: Literal["benchmark", "file"] = "benchmark",
    rule: str | None = None,
    judge: str | os.PathLike[str] | None = None,
) -> Score:
    """Score a file of predictions: the benchmark's official figure and a strict one.

    Args:
        benchmark: a name, or `module:object` for a benchmark of yours.
        data: the benchmark's file as published; its audio is not needed.
        predictions: JSON or JSON lines with an id and a prediction for each question, harken's own predictions.jsonl,
            or a sample log of lmms-eval, evalscope or inspect.
        letters_shown: whether the prompt showed letters; default: as in the benchmark's own prompt.
        key: the key that holds the predictions; default: the benchmark's own.
        answers: whose answers count where the predictions state others than the benchmark file.
        rule: `module:function` in place of the benchmark's official rule.
        judge: a recipe with a section judge, which says of each answer whether it means the right choice. Its replies
            are kept beside the predictions.

    Raises ConfigError for an unknown benchmark or rule, DataError for files whose figure could not be trusted.
    """
    make_importable(Path.cwd())
    return Score(
        score_file(
            benchmark,
            Path(data),
            Path(predictions),
            letters_shown=letters_shown,
            key=key,
            answers=answers,
            rule=rule,
            ask_judge=None if judge is None else _judge_of(Path(judge), Path(predictions)),
        )
    )


def compare(before: str | os.PathLike[str], after: str | os.PathLike[str]) -> list[Comparison]:
    """Two evaluations of the same questions, paired: one comparison for all questions, then one for each group.

    Raises DataError where they are not of the same questions.
    """
    return compare_folders(Path(before), Path(after))


def _share(figures: Mapping[str, Any], name: str, count: str) -> Share:
    low, high = figures[name]["ci95"]
    return Share(figures[name]["value"], low, high, figures[count])


def _judge_of(recipe: Path, predictions: Path) -> AskJudge:
    """Asks the judge that the recipe names, which is opened when it is first asked and closed after that."""
    section = read_values(recipe).get("judge")
    if not section:
        raise ConfigError(f"{recipe}: no section judge; `harken judge check --help` shows what one names")
    make_importable(recipe.parent)
    config = parse(JudgeConfig, section, str(recipe))

    def ask(questions: Sequence[Question], texts: Mapping[str, str]) -> tuple[Mapping[str, bool], int]:
        with contextlib.closing(open_judge(config, predictions.with_name(f"{predictions.name}.judge"))) as judge:
            return judge_predictions(judge, questions, texts)

    return ask
