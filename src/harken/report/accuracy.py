"""Computes the accuracy of a run on one set of questions: before and after training, with and without the clip.

The report, the live page and the model card show the tables; every figure has n and a 95 % interval clustered by clip.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harken.report.budgets import BudgetAccuracy, budget_lines
from harken.report.listening import HeardAccuracy, listening_lines
from harken.report.no_think import NoThinkRate, no_think_lines
from harken.report.paired_figures import accuracy_of, paired_gains
from harken.report.question_sets import AFTER, BEFORE, QuestionSet
from harken.report.run import Evaluation
from harken.results.compare import compare
from harken.results.evaluation_rows import group_rows
from harken.results.formatting import percent, points
from harken.results.seeds import SeedComparison, over_seeds
from harken.stats import Estimate, chance


@dataclass(frozen=True, slots=True)
class GroupAccuracy:
    """One row of an accuracy table: one group of questions. A figure that was not evaluated is None.

    Attributes:
        gain: after - before, with the clip, paired by question.
        audio_gain: with the clip - without it, of one model: the one after, or before where there is none after.
    """

    group: str
    n: int
    before: Estimate | None
    after: Estimate | None
    gain: Estimate | None
    audio_gain: Estimate | None
    before_without_audio: Estimate | None
    after_without_audio: Estimate | None
    chance: float | None


@dataclass(frozen=True, slots=True)
class AccuracyColumn:
    """One column of an accuracy table: its attribute in `GroupAccuracy`, and how it is headed and written."""

    attribute: str
    heading: str
    unit: str
    write: Callable[[Estimate], str]


COLUMNS = (
    AccuracyColumn("before", "before", "%", percent),
    AccuracyColumn("after", "after", "%", percent),
    AccuracyColumn("gain", "gain", "points", points),
    AccuracyColumn("before_without_audio", "before, no audio", "%", percent),
    AccuracyColumn("after_without_audio", "after, no audio", "%", percent),
    AccuracyColumn("audio_gain", "audio gain", "points", points),
)


@dataclass(frozen=True, slots=True)
class AccuracyTable:
    """The accuracy of one run on one set of questions.

    Attributes:
        name: of the set of questions.
        faults: why an expected figure could not be computed.
        listening: the accuracy with each kind of audio; empty where only the clip and no clip were evaluated.
        no_think: the share of valid outputs without thinking by difficulty; empty where no output thought.
        budgets: the accuracy by the length of a forced reasoning; empty with fewer than two lengths.
        evaluations: the evaluations that the figures come from.
    """

    run: str
    name: str
    lines: Sequence[GroupAccuracy]
    faults: Sequence[str]
    listening: Sequence[HeardAccuracy]
    no_think: Sequence[NoThinkRate]
    budgets: Sequence[BudgetAccuracy]
    evaluations: Sequence[Evaluation]

    @property
    def chance(self) -> float | None:
        """The expected accuracy of guessing, over all questions."""
        return self.lines[0].chance

    @property
    def columns(self) -> list[AccuracyColumn]:
        """The columns in which some line has a figure."""
        return [column for column in COLUMNS if any(getattr(line, column.attribute) is not None for line in self.lines)]


def accuracy_table(run: str, questions: QuestionSet) -> AccuracyTable:
    """Compute the table of one set of questions. A pair that cannot be compared becomes a fault, not an error.

    Args:
        run: name of the run, to show.
    """
    faults: list[str] = []
    lines = _lines(questions, faults, whole_only=False)
    listening, no_think = listening_lines(questions), no_think_lines(questions)
    return AccuracyTable(
        run,
        questions.name,
        lines,
        list(dict.fromkeys(faults)),
        listening,
        no_think,
        budget_lines(questions),
        [*questions.evaluations.values(), *questions.forced.values()],
    )


def whole_accuracy(questions: QuestionSet) -> GroupAccuracy:
    """The first line of the table, over all questions, alone."""
    (whole,) = _lines(questions, [], whole_only=True)
    return whole


def _lines(questions: QuestionSet, faults: list[str], *, whole_only: bool) -> list[GroupAccuracy]:
    before, after = questions.get(BEFORE), questions.get(AFTER)
    before_no_audio, after_no_audio = questions.get(BEFORE, "none"), questions.get(AFTER, "none")
    gains = paired_gains(before, after, faults, whole_only=whole_only)
    deaf, hearing = (after_no_audio, after) if after_no_audio and after else (before_no_audio, before)
    audio_gains = paired_gains(deaf, hearing, faults, whole_only=whole_only)
    rows_of_all = (after or next(iter(questions.evaluations.values()))).rows
    groups = {"all": list(rows_of_all)} if whole_only else group_rows(rows_of_all)
    lines = []
    for group, rows in groups.items():
        choice_counts = [len(row["choices"]) for row in rows if row["choices"]]
        lines.append(
            GroupAccuracy(
                group,
                len(rows),
                before=accuracy_of(before, group),
                after=accuracy_of(after, group),
                gain=gains.get(group),
                audio_gain=audio_gains.get(group),
                before_without_audio=accuracy_of(before_no_audio, group),
                after_without_audio=accuracy_of(after_no_audio, group),
                chance=chance(choice_counts) if choice_counts else None,
            )
        )
    return lines


def seed_comparisons(sets: Sequence[QuestionSet]) -> Sequence[SeedComparison]:
    """Mean and spread of several runs' gains on the same questions.

    Empty for fewer than two runs with an evaluation before and after, and where answers are hidden.
    """
    pairs = [(questions.get(BEFORE), questions.get(AFTER)) for questions in sets]
    complete = [(before, after) for before, after in pairs if before is not None and after is not None]
    hidden = any(row["correct"] is None for pair in complete for evaluation in pair for row in evaluation.rows)
    if len(complete) < 2 or hidden:
        return []
    return over_seeds([compare(before.rows, after.rows) for before, after in complete])
