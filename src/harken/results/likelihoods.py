"""How likely the right choice is, as columns of predictions.jsonl and a figure of the summary."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from harken.results.evaluation_rows import Row
from harken.stats import mean_interval
from harken.types import Question


def add_likelihood_columns(
    logp: Mapping[str, tuple[Question, Sequence[float]]], rows: Sequence[Row]
) -> tuple[list[Row], dict[str, Any]]:
    """Add `choice_logp`, in nats, and `right_share`, the probability of the right choice among all choices.

    Args:
        logp: question id -> the question and the log-probability of each of its choices; empty for an open question.

    Returns:
        The rows, and the entry `right_share` of the summary: its mean over the questions whose answer is known, with
        its 95 % interval clustered by clip; {} without any.
    """
    columns: dict[str, dict[str, Any]] = {}
    for ident, (question, values) in logp.items():
        if values:
            right = None if question.answer is None else share_of(values, question.answer)
            columns[ident] = {"choice_logp": [round(value, 6) for value in values], "right_share": right}
    shares = [(columns[row["id"]]["right_share"], row["clip"]) for row in rows if row["id"] in columns]
    known = [(share, clip) for share, clip in shares if share is not None]
    figures = {}
    if known:
        values, clips = zip(*known, strict=True)
        figures["right_share"] = asdict(mean_interval(values, clips))
    return [{**row, **columns.get(row["id"], {})} for row in rows], figures


def share_of(logp: Sequence[float], choice: int) -> float:
    """The probability of a choice among all choices: softmax over their log-probabilities.

    Example:
        >>> share_of([-1.0, -1.0], 0)
        0.5
    """
    highest = max(logp)
    return math.exp(logp[choice] - highest) / sum(math.exp(value - highest) for value in logp)
