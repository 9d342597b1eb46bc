"""Sorts the evaluations of a run by their questions, into before and after training, and by what the model heard.

Evaluations belong together when they hold the same question ids, whatever their folders are called.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from harken.report.run import Evaluation, Run, read_start_evaluations

BEFORE, AFTER = "before", "after"


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """One set of questions and a run's evaluations on it, by before or after training and by audio mode.

    Attributes:
        forced: those in which the form of the answers was forced (`--force`), by before or after, form and audio mode;
            they are in no other figure.
    """

    name: str
    ids: frozenset[str]
    evaluations: dict[tuple[str, str], Evaluation]
    forced: dict[tuple[str, str, str], Evaluation] = field(default_factory=dict)

    def get(self, when: str, audio: str = "real") -> Evaluation | None:
        return self.evaluations.get((when, audio))


def question_sets(run: Run, *, within: Path | None = None) -> list[QuestionSet]:
    """Sort the run's evaluations. Of two evaluations of one kind the one written last counts.

    Of the evaluations without the question's own clip, one of the same model as the evaluation with the clip counts
    before any other, so that two checkpoints are not mixed.

    Args:
        within: the evaluations of the run that this run started from are used too, as "before", where that run lies in
            this folder; None for anywhere.
    """
    dated = sorted(run.evaluations, key=lambda evaluation: (evaluation.path / "summary.json").stat().st_mtime_ns)
    entries = [(BEFORE, evaluation) for evaluation in read_start_evaluations(run, within)]
    entries += [(_when(run, evaluation), evaluation) for evaluation in dated]
    free = {evaluation.ids for _, evaluation in entries if not _force(evaluation)}
    forced = [entry for entry in entries if _force(entry[1]) and entry[1].ids in free]
    entries = [entry for entry in entries if entry not in forced]
    sets: dict[frozenset[str], QuestionSet] = {}
    for when, evaluation in entries:
        questions = sets.setdefault(evaluation.ids, QuestionSet(_name(evaluation), evaluation.ids, {}))
        if evaluation.audio == "real":
            questions.evaluations[when, "real"] = evaluation

    def same_model(entry: tuple[str, Evaluation]) -> bool:
        with_clip = sets[entry[1].ids].get(entry[0])
        return with_clip is not None and with_clip.model == entry[1].model

    for when, evaluation in sorted(entries, key=same_model):
        if evaluation.audio != "real":
            sets[evaluation.ids].evaluations[when, evaluation.audio] = evaluation
    for when, evaluation in forced:
        sets[evaluation.ids].forced[when, _force(evaluation), evaluation.audio] = evaluation
    own = {evaluation.ids for evaluation in run.evaluations}
    return [questions for ids, questions in sets.items() if ids in own]


def set_names(sets: Iterable[Iterable[QuestionSet]]) -> dict[frozenset[str], str]:
    """A name for each set of questions, by its ids; equal names get a number.

    Args:
        sets: the question sets of each run.
    """
    return distinct_names((questions.ids, questions.name) for run_sets in sets for questions in run_sets)


def distinct_names(sets: Iterable[tuple[frozenset[str], str]]) -> dict[frozenset[str], str]:
    """The same, from the ids and the name of each set. A set may come several times; its first name counts."""
    names: dict[frozenset[str], str] = {}
    for ids, own in sets:
        taken = sum(name == own or name.startswith(f"{own} (") for name in names.values())
        names.setdefault(ids, f"{own} ({taken + 1})" if taken else own)
    return names


def _when(run: Run, evaluation: Evaluation) -> str:
    """An evaluation in the run's folder is of the model that the run started from, or of what the model became."""
    return BEFORE if run.model and evaluation.model == run.model else AFTER


def _force(evaluation: Evaluation) -> str:
    """The form that was forced; "" where none was."""
    return str(evaluation.summary.get("force") or "")


def _name(evaluation: Evaluation) -> str:
    file = str(evaluation.summary.get("data", "")).replace("\\", "/").rsplit("/", 1)[-1]
    return file or evaluation.name
