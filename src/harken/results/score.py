"""Scores predictions for a benchmark: the official script's figure beside harken's own strict one.

Each figure has a 95 % interval clustered by clip (`stats.py`). `official_accuracy` is over the questions that the
script counts, `official_accuracy_all` and `choice_accuracy` are over every question.

The official rule gets the text of each prediction as it is, so that the figure is the one that the script prints. For
harken's own evaluations (`bare`) the text is graded to a choice first, and the rule gets the bare choice: its text or,
where the script reads letters, its letter; nothing where no choice was read (docs/benchmarks.md).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harken.benchmarks.base import Benchmark, Verdict
from harken.errors import DataError, HarkenError, raised, short_repr
from harken.questions.grader import grade
from harken.questions.output_parts import answer_part
from harken.questions.prompt import LETTERS
from harken.stats import Estimate, mean_interval
from harken.types import Question

UNKNOWN = Estimate(0.0, 0.0, 1.0, 0, 0)
"""The accuracy over no questions: 0, as the scripts print for an empty file; its interval rules out nothing."""

LABELS: dict[str, Callable[[Question], str]] = {
    "task": lambda question: question.task,
    "difficulty": lambda question: question.difficulty,
    "category": lambda question: question.category,
    "sub_category": lambda question: question.subcategory,
}


@dataclass(frozen=True, slots=True)
class ScoredItem:
    """One question with its prediction.

    Attributes:
        missing: there is no prediction.
        unreadable: there is a prediction, and the grader read no choice in it.
        lettered: an unreadable prediction that names a choice by its letter.
        official: the script's verdict; None where there is no prediction or the script drops it.
        strict: whether the choice that the grader read is the right one; for a question without choices, whether the
            official rule counts it as right.
        judged: whether a judge finds that the prediction means the right choice; None where no judge was asked about
            the question.
    """

    question: Question
    clip: str
    missing: bool
    unreadable: bool
    lettered: bool
    official: Verdict
    strict: bool
    judged: bool | None = None


def score(
    benchmark: Benchmark,
    questions: Sequence[Question],
    predictions: Mapping[str, str],
    *,
    letters_shown: bool | None = None,
    bare: bool = False,
    judged: Mapping[str, bool] | None = None,
) -> dict[str, Any]:
    """Score predictions by the benchmark's official rule and strictly, with harken's grader.

    Args:
        questions: every question of the benchmark, answers known.
        predictions: question id -> text; questions without one are missing.
        letters_shown: whether the prompt showed letters, so that the strict grader may read one; default: as in the
            benchmark's own prompt.
        bare: grade first and give the official rule the bare choice.
        judged: question id -> whether a judge finds that the prediction means the right choice.

    Returns:
        n, n_missing, n_unreadable (predictions in which no choice was read), n_official (questions in the script's
        denominator); official_accuracy, official_accuracy_all, choice_accuracy, each {"value": share, "ci95": [low,
        high]}; by.task, by.difficulty, by.category, by.sub_category and the benchmark's own groups with the same for
        each label, {} where the benchmark has no such label; n_unreadable_letters: unreadable predictions that name a
        choice by its letter; n_judged, where the benchmark has such questions: those that only a judge scores, which
        are in no figure; with `bare`, n_right_refused: questions whose right choice alone the script does not
        count; with `judged`, judged_accuracy beside the other accuracies, over the questions that a judge was asked
        about; and `averages` where the benchmark has further means.

    Raises DataError where the benchmark has no official rule, for no questions, an id that two questions share, hidden
    answers, a prediction for an unknown id or one that is not text, and where a function of the benchmark raises or
    returns something else than it should. With `bare`, raises as `check_rule` does.
    """
    _check(benchmark, questions, predictions)
    if bare:
        check_rule(benchmark, questions)
    letters = benchmark.reads_letters if letters_shown is None else letters_shown
    n_questions = len(questions)
    if benchmark.judged is not None:
        questions = [question for question in questions if not benchmark.judged(question)]
    verdicts = judged or {}
    items = [
        replace(
            _scored(benchmark, question, predictions.get(question.id), letters, bare), judged=verdicts.get(question.id)
        )
        for question in questions
    ]
    labels = {**LABELS, **benchmark.groups}
    result: dict[str, Any] = {
        **_figures(items),
        "n_unreadable_letters": sum(item.lettered for item in items),
        **({"n_judged": n_questions - len(questions)} if benchmark.judged is not None else {}),
        **({"n_right_refused": len(_refused(benchmark, questions))} if bare else {}),
        "by": {
            name: {value: _figures(members) for value, members in _groups(benchmark, items, name, label).items()}
            for name, label in labels.items()
        },
    }
    averages = _averages(benchmark, items)
    return {**result, "averages": averages} if averages else result


def check_rule(benchmark: Benchmark, questions: Sequence[Question]) -> None:
    """Raise DataError where the official rule counts more right answers when it gets them in the other form.

    Then it reads letters where it gets texts, or texts where it gets letters, and a figure over bare choices would say
    nothing. A rule that counts few right answers in either form is strange, and passes: `n_right_refused` of the score
    tells how many it refuses. Questions without a right choice do not count; a benchmark without a rule passes.
    """
    if benchmark.official_rule is None:
        return
    refused = _refused(benchmark, questions)
    other = replace(benchmark, reads_letters=not benchmark.reads_letters)
    if not refused or (other.reads_letters and any(len(q.choices) > len(LETTERS) for q in questions)):
        return
    try:
        refused_otherwise = len(_refused(other, questions))
    except DataError:  # a rule need not take the other form
        return
    if refused_otherwise < len(refused):
        known = sum(question.answer is not None for question in questions)
        shown, read = ("letter", "texts") if benchmark.reads_letters else ("text", "letters")
        example = short_repr(_bare(benchmark, refused[0], refused[0].answer))
        raise DataError(
            f"{benchmark.name}: official_rule does not count {len(refused)} of {known} right answers when it gets "
            f"the {shown} of the right choice alone, first {example} of question {short_repr(refused[0].id)}. Correct "
            f"the rule, or set reads_letters={other.reads_letters} where its script reads {read}"
        )


def _refused(benchmark: Benchmark, questions: Sequence[Question]) -> list[Question]:
    """The questions whose bare right answer the official rule does not count as right."""
    return [
        question
        for question in questions
        if question.answer is not None
        and _verdict(benchmark, question, _bare(benchmark, question, question.answer)) is not True
    ]


def _check(benchmark: Benchmark, questions: Sequence[Question], predictions: Mapping[str, str]) -> None:
    name = benchmark.name
    if benchmark.official_rule is None:
        raise DataError(
            f"{name}: harken knows no official rule of {benchmark.title}, so there is no score; `harken evaluate` "
            "measures a model on it with harken's own grader"
        )
    if not questions:
        raise DataError(f"{name}: there are no questions to score")
    ids = {question.id for question in questions}
    if len(ids) < len(questions):
        raise DataError(f"{name}: {len(questions) - len(ids)} of {len(questions)} questions repeat an id")
    hidden = sum(question.answer_hidden for question in questions)
    if hidden:
        raise DataError(
            f"{name}: {hidden} of {len(questions)} questions hide their answer: they cannot be scored here"
            + ("; write a file for the benchmark's own server with --submission" if benchmark.submission else "")
        )
    unknown = [identifier for identifier in predictions if identifier not in ids]
    if unknown:
        raise DataError(f"{len(unknown)} of {len(predictions)} predictions are for ids that {name} does not have")
    other = [identifier for identifier, text in predictions.items() if not isinstance(text, str)]
    if other:
        raise DataError(f"{len(other)} of {len(predictions)} predictions are not text; leave out what has no text")


def _scored(benchmark: Benchmark, question: Question, text: str | None, letters: bool, bare: bool) -> ScoredItem:
    clip = question.clip or "\n".join(map(str, question.audio_spans)) or question.id
    if text is None:
        return ScoredItem(question, clip, True, False, False, None, False)
    if not question.choices:
        answer = (answer_part(text) or "") if bare else text
        verdict = _verdict(benchmark, question, answer)
        return ScoredItem(question, clip, False, False, False, verdict, verdict is True)
    graded = grade(text, question.choices, question.answer, letters_shown=letters)
    verdict = _verdict(benchmark, question, _bare(benchmark, question, graded.choice) if bare else text)
    unreadable = graded.choice is None
    lettered = unreadable and grade(text, question.choices, None, letters_shown=True).reason == "letter"
    return ScoredItem(question, clip, False, unreadable, lettered, verdict, graded.correct)


def _verdict(benchmark: Benchmark, question: Question, text: str) -> Verdict:
    assert benchmark.official_rule is not None  # as the callers check
    verdict = _call(benchmark, "official_rule", question, benchmark.official_rule, text)
    if verdict is not None and not isinstance(verdict, bool):
        raise DataError(
            f"{benchmark.name}: official_rule returned {short_repr(verdict)} for question {short_repr(question.id)}; "
            "it must return True, False or None"
        )
    return verdict


def _call(benchmark: Benchmark, name: str, question: Question, function: Callable[..., Any], *arguments: str) -> Any:
    """Call a function of the benchmark. Raises DataError, which names function and record, where it raises."""
    try:
        return function(question, *arguments)
    except HarkenError:
        raise
    except Exception as error:
        place = question.source or f"question {question.id!r}"
        raise DataError(f"{place}: {name} of {benchmark.name} raised {raised(error)}") from error


def _bare(benchmark: Benchmark, question: Question, choice: int | None) -> str:
    if choice is None:
        return ""
    if not benchmark.reads_letters:
        return question.choices[choice]
    if len(question.choices) > len(LETTERS):
        raise DataError(
            f"{question.source or question.id}: {len(question.choices)} choices, only {len(LETTERS)} letters: "
            f"{benchmark.name} cannot have reads_letters=True"
        )
    return LETTERS[choice]


def _figures(items: Sequence[ScoredItem]) -> dict[str, Any]:
    return {
        "n": len(items),
        "n_missing": sum(item.missing for item in items),
        "n_unreadable": sum(item.unreadable for item in items),
        "n_official": sum(item.official is not None for item in items),
        **{name: _written(accuracy(items)) for name, accuracy in ACCURACIES.items()},
        **_judged(items),
    }


def _judged(items: Sequence[ScoredItem]) -> dict[str, Any]:
    """{} where no judge was asked about any of the questions."""
    values = [(item.judged, item.clip) for item in items if item.judged is not None]
    return {"judged_accuracy": _written(_accuracy(values)), "n_judged_answers": len(values)} if values else {}


def _official(items: Sequence[ScoredItem]) -> Estimate:
    return _accuracy([(item.official, item.clip) for item in items if item.official is not None])


def _official_all(items: Sequence[ScoredItem]) -> Estimate:
    return _accuracy([(item.official is True, item.clip) for item in items])


def _strict(items: Sequence[ScoredItem]) -> Estimate:
    return _accuracy([(item.strict, item.clip) for item in items])


ACCURACIES: dict[str, Callable[[Sequence[ScoredItem]], Estimate]] = {
    "official_accuracy": _official,
    "official_accuracy_all": _official_all,
    "choice_accuracy": _strict,
}


def _accuracy(values: Sequence[tuple[bool, str]]) -> Estimate:
    if not values:
        return UNKNOWN
    return mean_interval([float(right) for right, _ in values], [clip for _, clip in values])


def _written(estimate: Estimate) -> dict[str, Any]:
    return {"value": estimate.mean, "ci95": [estimate.low, estimate.high]}


def _groups(
    benchmark: Benchmark, items: Sequence[ScoredItem], name: str, label: Callable[[Question], str]
) -> dict[str, list[ScoredItem]]:
    """The items of each label, in order of name; {} where no item has a label, "" for the items without one."""
    groups: dict[str, list[ScoredItem]] = {}
    for item in items:
        value = _call(benchmark, f"groups[{name!r}]", item.question, label)
        if not isinstance(value, str):
            raise DataError(
                f"{item.question.source or item.question.id}: groups[{name!r}] of {benchmark.name} returned "
                f"{short_repr(value)}, expected text"
            )
        groups.setdefault(value, []).append(item)
    return {} if set(groups) == {""} else dict(sorted(groups.items()))


def _averages(benchmark: Benchmark, items: Sequence[ScoredItem]) -> dict[str, Any]:
    """The benchmark's further means, each with the three accuracies, and what the file lacks of the benchmark."""
    result: dict[str, Any] = {}
    if benchmark.averages is not None:
        tasks = _groups(benchmark, items, "task", LABELS["task"])
        for name, accuracy in ACCURACIES.items():
            means = benchmark.averages({task: accuracy(members) for task, members in tasks.items()})
            for mean, estimate in means.items():
                result.setdefault(mean, {})[name] = _written(estimate)
    if benchmark.coverage is not None:
        result |= benchmark.coverage([item.question for item in items])
    return result
