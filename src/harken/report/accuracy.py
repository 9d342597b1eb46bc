"""Sorts the evaluations of a run into before and after training, with and without the clip, and computes their table.

Evaluations belong together when they hold the same question ids, whatever their folders are called. The report, the
live page and the model card show the tables; every figure has n and a 95 % interval clustered by clip.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harken.errors import DataError
from harken.questions.output_parts import form
from harken.report.run import Evaluation, Run, read_start_evaluations
from harken.results.compare import compare
from harken.results.evaluation_rows import group_rows
from harken.results.formatting import percent, points
from harken.results.seeds import SeedComparison, over_seeds
from harken.stats import Estimate, chance, mean_interval

BEFORE, AFTER = "before", "after"


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """One set of questions and a run's evaluations on it: before or after training, with or without audio."""

    name: str
    ids: frozenset[str]
    evaluations: dict[tuple[str, bool], Evaluation]

    def get(self, when: str, *, with_audio: bool = True) -> Evaluation | None:
        return self.evaluations.get((when, with_audio))


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
        no_think: (difficulty, before or after, share of the valid outputs without thinking); empty where no output
            thought.
        evaluations: the evaluations that the figures come from.
    """

    run: str
    name: str
    lines: Sequence[GroupAccuracy]
    faults: Sequence[str]
    no_think: Sequence[tuple[str, str, Estimate]]
    evaluations: Sequence[Evaluation]

    @property
    def columns(self) -> list[AccuracyColumn]:
        """The columns in which some line has a figure."""
        return [column for column in COLUMNS if any(getattr(line, column.attribute) is not None for line in self.lines)]


def question_sets(run: Run, *, with_start: bool = True) -> list[QuestionSet]:
    """Sort the run's evaluations by their questions. Of two evaluations of one kind the one written last counts.

    Args:
        with_start: also use the evaluations of the run that this run started from, as "before".
    """
    dated = sorted(run.evaluations, key=lambda evaluation: (evaluation.path / "summary.json").stat().st_mtime_ns)
    entries = [(BEFORE, evaluation) for evaluation in read_start_evaluations(run)] if with_start else []
    entries += [(_when(run, evaluation), evaluation) for evaluation in dated]
    sets: dict[frozenset[str], QuestionSet] = {}
    for when, evaluation in entries:
        questions = sets.setdefault(evaluation.ids, QuestionSet(_set_name(evaluation), evaluation.ids, {}))
        questions.evaluations[when, evaluation.with_audio] = evaluation
    own = {evaluation.ids for evaluation in run.evaluations}
    return [questions for ids, questions in sets.items() if ids in own]


def accuracy_table(run: str, questions: QuestionSet) -> AccuracyTable:
    """Compute the table of one set of questions. A pair that cannot be compared becomes a fault, not an error.

    Args:
        run: name of the run, to show.
    """
    before, after = questions.get(BEFORE), questions.get(AFTER)
    before_no_audio, after_no_audio = questions.get(BEFORE, with_audio=False), questions.get(AFTER, with_audio=False)
    evaluations = [
        evaluation for evaluation in (before, before_no_audio, after, after_no_audio) if evaluation is not None
    ]
    faults: list[str] = []
    gains = _gains(before, after, faults)
    audio_gains = (
        _gains(after_no_audio, after, faults) if after_no_audio and after else _gains(before_no_audio, before, faults)
    )
    lines = []
    for group, rows in group_rows((after or evaluations[0]).rows).items():
        choice_counts = [len(row["choices"]) for row in rows if row["choices"]]
        lines.append(
            GroupAccuracy(
                group,
                len(rows),
                before=_accuracy(before, group),
                after=_accuracy(after, group),
                gain=gains.get(group),
                audio_gain=audio_gains.get(group),
                before_without_audio=_accuracy(before_no_audio, group),
                after_without_audio=_accuracy(after_no_audio, group),
                chance=chance(choice_counts) if choice_counts else None,
            )
        )
    faults = list(dict.fromkeys(faults))
    return AccuracyTable(run, questions.name, lines, faults, no_think_rates(questions), evaluations)


def no_think_rates(questions: QuestionSet) -> list[tuple[str, str, Estimate]]:
    """The share of valid outputs without thinking, by difficulty and before or after, with the clip.

    Audio-Thinker, figure 2. Empty where no output thought.
    """
    rates = []
    any_thought = False
    for when in (BEFORE, AFTER):
        evaluation = questions.get(when)
        if evaluation is None:
            continue
        forms = [(row, form(str(row["completion"]))) for row in evaluation.rows]
        any_thought = any_thought or any(kind == "think" for _, kind in forms)
        valid = [(row, float(kind == "no_think")) for row, kind in forms if kind != "malformed"]
        for difficulty in sorted({str(row["difficulty"]) for row, _ in valid}):
            members = [(row, value) for row, value in valid if str(row["difficulty"]) == difficulty]
            rate = mean_interval([value for _, value in members], [row["clip"] for row, _ in members])
            rates.append((difficulty or "unknown", when, rate))
    return rates if any_thought else []


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


def _when(run: Run, evaluation: Evaluation) -> str:
    """An evaluation in the run's folder is of the model that the run started from, or of what the model became."""
    return BEFORE if run.model and evaluation.model == run.model else AFTER


def _set_name(evaluation: Evaluation) -> str:
    file = str(evaluation.summary.get("data", "")).replace("\\", "/").rsplit("/", 1)[-1]
    return file or evaluation.name


def _gains(before: Evaluation | None, after: Evaluation | None, faults: list[str]) -> dict[str, Estimate]:
    """The paired difference of each group; empty where a side is missing. The reason of a refusal joins `faults`."""
    if before is None or after is None:
        return {}
    try:
        return {comparison.group: comparison.gain for comparison in compare(before.rows, after.rows)}
    except DataError as error:
        faults.append(str(error))
        return {}


def _accuracy(evaluation: Evaluation | None, group: str) -> Estimate | None:
    """The group's accuracy in the evaluation's summary, which is over the same rows."""
    figures = {} if evaluation is None else evaluation.summary.get("accuracy", {})
    return Estimate(**figures[group]) if group in figures else None
