"""A benchmark's predictions -> the figures people quote, the official script's beside a strict count.

Takes questions with answers and one text per question id, gives a dict for JSON. Nothing leaves a denominator unseen:
`official_accuracy` has the script's own, `official_accuracy_all` counts every item. Each figure has a 95 % interval
clustered by clip (`stats.py`). Not taken: scoring in spite of predictions for unknown questions, or of hidden answers.

What the official rule is handed: the text as it is, so that the figure is the one the script prints. With `bare`, for
harken's own evaluations, the text is graded to a choice first, and the rule gets the bare choice: its text for MMAU and
MMAR, its letter for AIR-Bench and MMSU, nothing where no choice was read (docs/benchmarks.md).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harken.benchmarks import airbench, mmsu, string_match
from harken.benchmarks.lettered import LETTERS
from harken.errors import DataError
from harken.questions.grader import grade
from harken.stats import Estimate, mean_interval
from harken.types import Question

OFFICIAL: dict[str, Callable[[Question, str], bool | None]] = {
    "mmau": string_match.official,
    "mmar": string_match.official,
    "airbench": airbench.official,
    "mmsu": mmsu.official,
}
LETTERED = ("airbench", "mmsu")
"""Benchmarks whose own prompt shows letters and whose scorer reads them."""

NOTHING_SAID = Estimate(0.0, 0.0, 1.0, 0, 0)
"""Of no items: 0, as an empty file scores, and no knowledge of the true share."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One item. `official` is None where the script has no verdict: no prediction, or one that it drops; `lettered`
    says that an unreadable prediction names a choice by a letter."""

    question: Question
    clip: str
    missing: bool
    unreadable: bool
    lettered: bool
    official: bool | None
    strict: bool


def score(
    benchmark: str,
    items: Sequence[Question],
    predictions: Mapping[str, str],
    *,
    letters_shown: bool | None = None,
    bare: bool = False,
) -> dict[str, Any]:
    """Score predictions by the benchmark's official rule and strictly (`answer.grade`).

    Args:
        benchmark: mmau, mmar, airbench or mmsu.
        items: every question of the benchmark, answers known.
        predictions: question id -> text; questions without one are missing.
        letters_shown: whether the prompt showed letters, so that the strict grader may read one; default: as the
            benchmark's own prompt does, AIR-Bench's and MMSU's yes, MMAU's and MMAR's no.
        bare: grade first and hand the official rule the bare choice.

    Returns:
        n, n_missing, n_unreadable (a prediction in which no choice was read), n_official (items in the script's
        denominator); official_accuracy, official_accuracy_all, choice_accuracy, each {"value": share, "ci95": [low,
        high]}; by.task, by.difficulty, by.category, by.sub_category with the same for each label (MMAR: by.modality;
        AIR-Bench: by.folder), {} where the benchmark has no such label. n_unreadable_letters: unreadable predictions
        that a grader told of letters would read. AIR-Bench also has `averages`.

    Raises DataError for an unknown benchmark, no items, an id that two items share, hidden answers, a prediction for
    an unknown id or one that is not text.
    """
    _check(benchmark, items, predictions)
    letters = benchmark in LETTERED if letters_shown is None else letters_shown
    scored = [_scored(benchmark, question, predictions.get(question.id), letters, bare) for question in items]
    labels = _axes(benchmark)
    result: dict[str, Any] = {
        **_figures(scored),
        "n_unreadable_letters": sum(one.lettered for one in scored),
        "by": {axis: _by(scored, label) for axis, label in labels.items()},
    }
    if benchmark == "airbench":
        result["averages"] = _averages(scored)
    return result


def _check(benchmark: str, items: Sequence[Question], predictions: Mapping[str, str]) -> None:
    if benchmark not in OFFICIAL:
        raise DataError(f"benchmark {benchmark!r} has no scorer; one of {', '.join(OFFICIAL)}")
    if not items:
        raise DataError(f"{benchmark}: no items to score")
    ids = {question.id for question in items}
    if len(ids) < len(items):
        raise DataError(f"{benchmark}: {len(items) - len(ids)} of {len(items)} items share an id with another")
    hidden = sum(question.answer is None and not question.answer_text for question in items)
    if hidden:
        raise DataError(
            f"{benchmark}: {hidden} of {len(items)} items hide their answer: they cannot be scored here; "
            "write a submission file for the benchmark's own server with --submission"
        )
    unknown = [identifier for identifier in predictions if identifier not in ids]
    if unknown:
        raise DataError(f"{len(unknown)} of {len(predictions)} predictions are for ids that {benchmark} has not")
    other = [identifier for identifier, text in predictions.items() if not isinstance(text, str)]
    if other:
        raise DataError(f"{len(other)} of {len(predictions)} predictions are not text; leave out what has no text")


def _scored(benchmark: str, question: Question, text: str | None, letters: bool, bare: bool) -> Scored:
    clip = question.clip or (str(question.audio) if question.audio is not None else question.id)
    if text is None:
        return Scored(question, clip, True, False, False, None, False)
    graded = grade(text, question.choices, question.answer, letters_shown=letters)
    handed = _bare(benchmark, question, graded.choice) if bare else text
    verdict = OFFICIAL[benchmark](question, handed)
    unreadable = graded.choice is None
    lettered = unreadable and grade(text, question.choices, None, letters_shown=True).reason == "letter"
    return Scored(question, clip, False, unreadable, lettered, verdict, graded.correct)


def _bare(benchmark: str, question: Question, choice: int | None) -> str:
    if choice is None:
        return ""
    return LETTERS[choice] if benchmark in LETTERED else question.choices[choice]


def _figures(scored: Sequence[Scored]) -> dict[str, Any]:
    return {
        "n": len(scored),
        "n_missing": sum(one.missing for one in scored),
        "n_unreadable": sum(one.unreadable for one in scored),
        "n_official": sum(one.official is not None for one in scored),
        **{name: _shown(figure(scored)) for name, figure in FIGURES.items()},
    }


def _official(scored: Sequence[Scored]) -> Estimate:
    return _accuracy([(one.official, one.clip) for one in scored if one.official is not None])


def _official_all(scored: Sequence[Scored]) -> Estimate:
    return _accuracy([(one.official is True, one.clip) for one in scored])


def _strict(scored: Sequence[Scored]) -> Estimate:
    return _accuracy([(one.strict, one.clip) for one in scored])


FIGURES: dict[str, Callable[[Sequence[Scored]], Estimate]] = {
    "official_accuracy": _official,
    "official_accuracy_all": _official_all,
    "choice_accuracy": _strict,
}


def _accuracy(values: Sequence[tuple[bool, str]]) -> Estimate:
    if not values:
        return NOTHING_SAID
    return mean_interval([float(right) for right, _ in values], [clip for _, clip in values])


def _shown(estimate: Estimate) -> dict[str, Any]:
    return {"value": estimate.mean, "ci95": [estimate.low, estimate.high]}


def _axes(benchmark: str) -> dict[str, Callable[[Question], str]]:
    axes: dict[str, Callable[[Question], str]] = {
        "task": lambda question: question.task,
        "difficulty": lambda question: question.difficulty,
        "category": lambda question: question.category,
        "sub_category": lambda question: question.subcategory,
    }
    if benchmark == "mmar":
        axes["modality"] = axes["task"]
    if benchmark == "airbench":
        axes["folder"] = lambda question: f"{question.task}_{question.dataset}"
    return axes


def _by(scored: Sequence[Scored], label: Callable[[Question], str]) -> dict[str, Any]:
    """Figures of each label in order of name; {} where no item has one, "" for the items without one beside others."""
    return {name: _figures(members) for name, members in _groups(scored, label).items()}


def _groups(scored: Sequence[Scored], label: Callable[[Question], str]) -> dict[str, list[Scored]]:
    groups: dict[str, list[Scored]] = {}
    for one in scored:
        groups.setdefault(label(one.question), []).append(one)
    return {} if set(groups) == {""} else dict(sorted(groups.items()))


def _averages(scored: Sequence[Scored]) -> dict[str, Any]:
    """AIR-Bench's named means, each with the three figures, and what the file lacks of the 19 tasks and 25 folders."""
    tasks = _groups(scored, lambda question: question.task)
    folders = {(one.question.task, one.question.dataset) for one in scored}
    means: dict[str, dict[str, Any]] = {}
    for figure, of in FIGURES.items():
        accuracies = {task: of(members) for task, members in tasks.items()}
        for name, mean in airbench.averages(accuracies).items():
            means.setdefault(name, {})[figure] = _shown(mean)
        for column, task in airbench.AUDIO_THINKER.items():
            if task in accuracies:
                means.setdefault(f"audio_thinker_{column}", {})[figure] = _shown(accuracies[task])
    published = [(task, dataset) for task, datasets in airbench.FOLDERS.items() for dataset in datasets]
    return {
        **means,
        "tasks_missing": [task for task in airbench.TASKS if task not in tasks],
        "folders_missing": [f"{task}_{dataset}" for task, dataset in published if (task, dataset) not in folders],
        "tasks_unknown": [task for task in tasks if task not in airbench.TASKS],
    }
