"""A judge's opinion of an evaluation's answers, in a column of its own beside string matching.

Takes graded rows and a judge, gives the rows with `judged` and `judge_reason`, and what enters the summary. One
published row is scored so. Not taken: a figure that mixes both; `accuracy` stays harken's grader's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from harken.judges import Judge, Verdict, judge_answers
from harken.stats import mean_interval
from harken.types import Question

NOT_JUDGED = Verdict(0.0, "nothing was said")


def with_judged_column(
    judge: Judge, questions: Mapping[str, Question], rows: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """(rows with the column, `judged` of the summary: accuracy {estimate}, n_asked, n_failed).

    The judge sees question, choices, the right answer and the part of the text in which the answer stands. An answer
    that says nothing is wrong without asking; one that the judge failed on counts as wrong and is counted.

    Args:
        questions: id -> question; rows of other ids were never asked.
    """
    asked = [row for row in rows if row["correct"] is not None and row["id"] in questions and row["extracted"].strip()]
    verdicts = judge_answers(judge, [questions[row["id"]] for row in asked], [row["extracted"] for row in asked])
    verdict_of = {row["id"]: verdict for row, verdict in zip(asked, verdicts, strict=True)}
    known = [row for row in rows if row["correct"] is not None]
    scores = [verdict_of.get(row["id"], NOT_JUDGED).score or 0.0 for row in known]
    column = [{**row, **_cells(row, verdict_of.get(row["id"], NOT_JUDGED))} for row in rows]
    figures = {
        "accuracy": asdict(mean_interval(scores, [row["clip"] for row in known])) if known else None,
        "n_asked": len(asked),
        "n_failed": sum(verdict.score is None for verdict in verdicts),
    }
    return column, figures


def _cells(row: Mapping[str, Any], verdict: Verdict) -> dict[str, Any]:
    if row["correct"] is None:
        return {"judged": None, "judge_reason": "the benchmark hides its answer"}
    return {"judged": None if verdict.score is None else bool(verdict.score), "judge_reason": verdict.reason}
