"""The answers of an evaluation as a judge sees them: a second column beside the grader's.

`harken.evaluation` adds this column to its predictions, because one published row is scored so. It never changes
`accuracy`: the grader (harken/questions/grader.py) alone decides every reward and every accuracy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from harken.judges.judge import Judge, Verdict
from harken.questions.output_parts import answer_part
from harken.stats import mean_interval
from harken.types import Question

EMPTY_ANSWER = Verdict(0.0, "nothing was said")
NOT_ASKED = Verdict(0.0, "another choice, or nothing was said")


def judge_answers(judge: Judge, questions: Sequence[Question], predictions: Sequence[str]) -> list[Verdict]:
    """Score each prediction 1 if it means the same as its question's reference, else 0.

    Args:
        questions: [n], with their choices and the index of the right one.
        predictions: [n] texts of the model, without its reasoning.

    Raises ValueError where the lengths differ.
    """
    pairs = zip(questions, predictions, strict=True)
    verdicts = [judge.submit("answer", question, "", prediction) for question, prediction in pairs]
    return [verdict.result() for verdict in verdicts]


def add_judged_column(
    judge: Judge, questions: Mapping[str, Question], rows: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Add `judged` and `judge_reason` to the graded rows of an evaluation.

    The judge sees the question, its choices, the right answer and the part of the text that answers. An empty answer is
    wrong and is not sent to the judge. An answer on which the judge failed counts as wrong, and the failure is counted.

    Args:
        questions: id -> question; rows with other ids are not sent to the judge.

    Returns:
        The rows with the two columns, and the entry `judged` of the summary: accuracy (an estimate), n_asked, n_failed.
    """
    sent = [row for row in rows if row["correct"] is not None and row["id"] in questions and row["extracted"].strip()]
    verdicts = judge_answers(judge, [questions[row["id"]] for row in sent], [row["extracted"] for row in sent])
    verdict_of = {row["id"]: verdict for row, verdict in zip(sent, verdicts, strict=True)}
    scored = [row for row in rows if row["correct"] is not None]
    scores = [verdict_of.get(row["id"], EMPTY_ANSWER).score or 0.0 for row in scored]
    judged_rows = [{**row, **_columns(row, verdict_of.get(row["id"], EMPTY_ANSWER))} for row in rows]
    summary = {
        "accuracy": asdict(mean_interval(scores, [row["clip"] for row in scored])) if scored else None,
        "n_asked": len(sent),
        "n_failed": sum(verdict.score is None for verdict in verdicts),
    }
    return judged_rows, summary


def judge_predictions(
    judge: Judge, questions: Sequence[Question], predictions: Mapping[str, str]
) -> tuple[dict[str, bool], int]:
    """Whether each prediction means the right choice, by question id, and how many calls failed.

    The judge sees the part of the text that answers. A question without a prediction, an empty answer and a failed call
    count as wrong; a question without choices or with a hidden answer is left out.

    Args:
        predictions: question id -> text.
    """
    judged = [question for question in questions if question.choices and question.answer is not None]
    answers = {question.id: (answer_part(predictions.get(question.id, "")) or "").strip() for question in judged}
    sent = [question for question in judged if answers[question.id]]
    verdicts = judge_answers(judge, sent, [answers[question.id] for question in sent])
    right = {question.id: False for question in judged}
    right |= {question.id: bool(verdict.score) for question, verdict in zip(sent, verdicts, strict=True)}
    return right, sum(verdict.score is None for verdict in verdicts)


def add_open_column(
    judge: Judge, questions: Mapping[str, Question], rows: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Add `judged` and `judge_reason` to the rows of open questions that have a reference and no rubric.

    The judge says whether the answer means the same as the reference. An empty answer has 0 and is not sent; a failure
    counts as 0 and is counted.

    Returns:
        The rows, and the entry `open` of the summary: score (an estimate), n, n_asked, n_failed; {} without such
        questions.
    """
    scored = [row for row in rows if row["id"] in questions and _has_reference_alone(questions[row["id"]])]
    if not scored:
        return [dict(row) for row in rows], {}
    sent = [row for row in scored if row["extracted"].strip()]
    verdicts = judge_answers(judge, [questions[row["id"]] for row in sent], [row["extracted"] for row in sent])
    verdict_of = {row["id"]: verdict for row, verdict in zip(sent, verdicts, strict=True)}
    ids = {row["id"] for row in scored}
    judged = [{**row, **(_judged(verdict_of.get(row["id"], EMPTY_ANSWER)) if row["id"] in ids else {})} for row in rows]
    return judged, {"open": _scores(scored, verdict_of, EMPTY_ANSWER)}


def _has_reference_alone(question: Question) -> bool:
    return not question.choices and bool(question.answer_text) and not question.rubric


def add_rubric_column(
    judge: Judge, questions: Mapping[str, Question], rows: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Add `rubric_score` and `rubric_reason` to the rows of questions that have a rubric.

    The score is points / most points, from 0 to 1. As in MMAR-Rubrics, an answer with another choice than the right one
    has 0 and is not sent to the judge; nor is an empty one. A failure counts as 0 and is counted.

    Returns:
        The rows, and the entry `rubric` of the summary: score (an estimate), n, n_asked, n_failed; {} without a rubric.
    """
    scored = [row for row in rows if row["id"] in questions and questions[row["id"]].rubric]
    if not scored:
        return [dict(row) for row in rows], {}
    sent = [row for row in scored if row["extracted"].strip() and (row["correct"] or not row["choices"])]
    calls = [judge.submit("rubric", questions[row["id"]], _said_before(row), row["extracted"]) for row in sent]
    verdict_of = {row["id"]: call.result() for row, call in zip(sent, calls, strict=True)}
    ids = {row["id"] for row in scored}
    judged = []
    for row in rows:
        verdict = verdict_of.get(row["id"], NOT_ASKED) if row["id"] in ids else None
        columns = {} if verdict is None else {"rubric_score": verdict.score, "rubric_reason": verdict.reason}
        judged.append({**row, **columns})
    return judged, {"rubric": _scores(scored, verdict_of, NOT_ASKED)}


def _scores(rows: Sequence[Mapping[str, Any]], verdict_of: Mapping[str, Verdict], not_asked: Verdict) -> dict[str, Any]:
    """The mean score of rows, ready for JSON, and the numbers of calls and failures.

    Args:
        verdict_of: id -> verdict of each row that was sent to the judge.
        not_asked: the verdict on every other row.
    """
    scores = [verdict_of.get(row["id"], not_asked).score or 0.0 for row in rows]
    return {
        "score": asdict(mean_interval(scores, [row["clip"] for row in rows])),
        "n": len(rows),
        "n_asked": len(verdict_of),
        "n_failed": sum(verdict.score is None for verdict in verdict_of.values()),
    }


def _said_before(row: Mapping[str, Any]) -> str:
    """The reasoning of a completion: that in its tags, or all that stands before its answer."""
    text: str = row["completion"]
    return row["reasoning"] or text.removesuffix(row["extracted"]).strip()


def _columns(row: Mapping[str, Any], verdict: Verdict) -> dict[str, Any]:
    if row["correct"] is None:
        return {"judged": None, "judge_reason": "the benchmark hides its answer"}
    return _judged(verdict)


def _judged(verdict: Verdict) -> dict[str, Any]:
    return {"judged": None if verdict.score is None else bool(verdict.score), "judge_reason": verdict.reason}
