"""The evaluations of a run, put where they belong: before and after, with and without the clip, as tables.

Takes runs, gives tables of figures, each with n and a 95 % interval clustered by clip. Evaluations belong together when
they hold the same question ids, whatever their folders are called. Not taken: guessing which of two checkpoints of a
run is "after": the one whose folder was written last is, and every evaluation stands in the list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harken.errors import DataError
from harken.questions.grader import form
from harken.report.run import Evaluation, Run, start_evaluations
from harken.results.compare import compare
from harken.results.evaluation_rows import group_rows
from harken.results.seeds import SeedComparison, over_seeds
from harken.stats import Estimate, chance, mean_interval

BEFORE, AFTER = "before", "after"


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """One set of questions as one run answered it: (when, heard) -> evaluation; at most four."""

    name: str
    ids: frozenset[str]
    evaluations: dict[tuple[str, bool], Evaluation]

    def get(self, when: str, *, heard: bool = True) -> Evaluation | None:
        return self.evaluations.get((when, heard))


@dataclass(frozen=True, slots=True)
class Line:
    """One group of questions. What was not evaluated is None.

    Attributes:
        gain: after - before, with the clip, on the same questions.
        audio_gain: with the clip - without it, of one model: the one after, or before where there is none after.
    """

    group: str
    n: int
    before: Estimate | None
    after: Estimate | None
    gain: Estimate | None
    audio_gain: Estimate | None
    before_unheard: Estimate | None
    after_unheard: Estimate | None
    chance: float | None


@dataclass(frozen=True, slots=True)
class SetTable:
    """Attributes:
    faults: why an expected figure is not there.
    no_think: (difficulty, when, share of the valid forms that did not think), where any output thought.
    evaluations: what the figures are of; each says what it counted wrong and why.
    """

    run: str
    name: str
    lines: Sequence[Line]
    faults: Sequence[str]
    no_think: Sequence[tuple[str, str, Estimate]]
    evaluations: Sequence[Evaluation]

    def shown(self, columns: Sequence[tuple[str, str, Any]]) -> list[tuple[str, str, Any]]:
        """Of (attribute of a line, ...) those that some line has a figure for."""
        return [column for column in columns if any(getattr(line, column[0]) is not None for line in self.lines)]


def question_sets(run: Run, *, elsewhere: bool = True) -> list[QuestionSet]:
    """The run's evaluations by questions. `elsewhere`: also those of the run it started from, as before."""
    earlier = start_evaluations(run) if elsewhere else []
    found: dict[frozenset[str], QuestionSet] = {}
    dated = sorted(run.evaluations, key=lambda one: (one.path / "summary.json").stat().st_mtime_ns)
    for when, one in [(BEFORE, one) for one in earlier] + [(_when(run, one), one) for one in dated]:
        group = found.setdefault(one.ids, QuestionSet(_set_name(one), one.ids, {}))
        group.evaluations[when, one.heard] = one
    own = {one.ids for one in run.evaluations}
    return [group for ids, group in found.items() if ids in own]


def set_table(run: str, questions: QuestionSet) -> SetTable:
    """The figures of one set of questions; a pair that cannot be compared is a fault, not an error."""
    before, after = questions.get(BEFORE), questions.get(AFTER)
    deaf_before, deaf_after = questions.get(BEFORE, heard=False), questions.get(AFTER, heard=False)
    given = [one for one in (before, deaf_before, after, deaf_after) if one is not None]
    faults: list[str] = []
    gains = _gains(before, after, faults)
    audio_gains = _gains(deaf_after, after, faults) if deaf_after and after else _gains(deaf_before, before, faults)
    lines = []
    for group, members in group_rows((after or given[0]).rows).items():
        counts = [len(row["choices"]) for row in members if row["choices"]]
        lines.append(
            Line(
                group,
                len(members),
                before=_accuracy(before, group),
                after=_accuracy(after, group),
                gain=gains.get(group),
                audio_gain=audio_gains.get(group),
                before_unheard=_accuracy(deaf_before, group),
                after_unheard=_accuracy(deaf_after, group),
                chance=chance(counts) if counts else None,
            )
        )
    return SetTable(run, questions.name, lines, list(dict.fromkeys(faults)), no_think_rates(questions), given)


def no_think_rates(questions: QuestionSet) -> list[tuple[str, str, Estimate]]:
    """Share of no-think answers among the valid forms by difficulty (Audio-Thinker, figure 2), with the clip;
    empty where no output thought."""
    found = []
    thought = False
    for when in (BEFORE, AFTER):
        one = questions.get(when)
        if one is None:
            continue
        forms = [(row, form(str(row["completion"]))) for row in one.rows]
        thought = thought or any(kind == "think" for _, kind in forms)
        valid = {row["id"]: float(kind == "no_think") for row, kind in forms if kind != "malformed"}
        for difficulty in sorted({str(row["difficulty"]) for row in one.rows}):
            members = [row for row in one.rows if row["difficulty"] == difficulty and row["id"] in valid]
            if members:
                rate = mean_interval([valid[row["id"]] for row in members], [row["clip"] for row in members])
                found.append((difficulty or "unknown", when, rate))
    return found if thought else []


def seed_lines(sets: Sequence[QuestionSet]) -> Sequence[SeedComparison]:
    """Several runs' gains on the same questions, mean and spread; empty for one run or where a side is missing."""
    pairs = [(one.get(BEFORE), one.get(AFTER)) for one in sets]
    whole = [(a, b) for a, b in pairs if a is not None and b is not None]
    if len(whole) < 2 or any(row["correct"] is None for pair in whole for one in pair for row in one.rows):
        return []
    return over_seeds([compare(a.rows, b.rows) for a, b in whole])


def _when(run: Run, one: Evaluation) -> str:
    """An evaluation in the run's folder is of the model it started from, or of what it became."""
    return BEFORE if run.model and one.model == run.model else AFTER


def _set_name(one: Evaluation) -> str:
    file = str(one.summary.get("data", "")).replace("\\", "/").rsplit("/", 1)[-1]
    return file or one.name


def _gains(before: Evaluation | None, after: Evaluation | None, faults: list[str]) -> dict[str, Estimate]:
    """Paired difference of each group, where both sides are there."""
    if before is None or after is None:
        return {}
    try:
        return {one.group: one.gain for one in compare(before.rows, after.rows)}
    except DataError as error:
        faults.append(str(error))
        return {}


def _accuracy(one: Evaluation | None, group: str) -> Estimate | None:
    """What the summary says: it is of the same rows."""
    figures = {} if one is None else one.summary.get("accuracy", {})
    return Estimate(**figures[group]) if group in figures else None
