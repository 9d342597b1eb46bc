"""Figures over several answers to each question: its samples, its choices in several orders, or several wordings.

Computes average, majority vote and pass@k over samples, and the spread over orders and wordings, from graded rows. The
rows come in groups, one group for each question. predictions.jsonl itself holds one row for each question.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import mean, pstdev, stdev
from typing import Any

from harken.stats import mean_interval

Rows = Sequence[Mapping[str, Any]]


def pass_at(n: int, correct: int, k: int) -> float:
    """Unbiased estimate of the chance that at least one of `k` samples is right, from `correct` right ones among `n`.

    arXiv 2107.03374, equation 1. Raises ValueError unless 0 <= correct <= n and 1 <= k <= n.
    """
    if not (0 <= correct <= n and 1 <= k <= n):
        raise ValueError(f"pass_at: {correct} right of {n} and k = {k}")
    return 1.0 - math.comb(n - correct, k) / math.comb(n, k)


def majority(rows: Rows) -> Mapping[str, Any]:
    """The row that stands for the majority: the first row with the choice that most rows have.

    Of choices with equally many rows the one that comes first wins. Where no choice could be read, the first row is
    returned. Choices are compared by their text, because the rows may show them in different orders.
    """
    votes: dict[str, int] = {}
    for row in rows:
        if row["choice"] is not None:
            votes[row["choice"]] = votes.get(row["choice"], 0) + 1
    if not votes:
        return rows[0]
    winner = max(votes, key=lambda choice: votes[choice])
    return next(row for row in rows if row["choice"] == winner)


def pass_rate_rows(groups: Sequence[Rows]) -> list[dict[str, Any]]:
    """One row for each question: how many of its trials were right, and the choice that most of them made."""
    result = []
    for rows in groups:
        known, voted = rows[0]["correct"] is not None, majority(rows)
        n_correct = sum(bool(row["correct"]) for row in rows)
        result.append(
            {
                **{key: rows[0][key] for key in ("id", "clip", "task", "difficulty")},
                "n": len(rows),
                "n_correct": n_correct if known else None,
                "pass_rate": n_correct / len(rows) if known else None,
                "n_unreadable": sum(row["choice"] is None for row in rows),
                "majority": voted["choice"],
                "majority_correct": voted["correct"],
            }
        )
    return result


def sample_figures(groups: Sequence[Rows]) -> dict[str, Any]:
    """Figures over K samples of each question: average, majority vote and pass@k for k = 1, 2, 4, ... and K.

    Intervals are 95 %, clustered by clip. Returns {} where every answer is hidden.
    """
    known = [rows for rows in groups if rows[0]["correct"] is not None]
    if not known:
        return {}
    clips, n = [rows[0]["clip"] for rows in known], len(known[0])
    right = [sum(bool(row["correct"]) for row in rows) for rows in known]
    ks = sorted({*(2**e for e in range(n.bit_length()) if 2**e <= n), n})
    return {
        "n_samples": n,
        "average": asdict(mean_interval([correct / n for correct in right], clips)),
        "majority": asdict(mean_interval([float(majority(rows)["correct"]) for rows in known], clips)),
        "pass_at": {str(k): asdict(mean_interval([pass_at(n, correct, k) for correct in right], clips)) for k in ks},
    }


def order_figures(groups: Sequence[Rows]) -> dict[str, Any]:
    """Figures over K orders of each question's choices: the mean accuracy, that of every order, and their spread.

    `same_choice` is the share of questions with the same choice in all orders, where an unreadable answer counts as a
    choice of its own. Returns {} where every answer is hidden.
    """
    known = [rows for rows in groups if rows[0]["correct"] is not None]
    if not known:
        return {}
    clips, n = [rows[0]["clip"] for rows in known], len(known[0])
    by_order = [mean(float(rows[k]["correct"]) for rows in known) for k in range(n)]
    same = [float(len({row["choice"] for row in rows}) == 1) for rows in known]
    return {
        "n_orders": n,
        "mean": asdict(mean_interval([mean(float(row["correct"]) for row in rows) for rows in known], clips)),
        "by_order": by_order,
        "sd": stdev(by_order),
        "low": min(by_order),
        "high": max(by_order),
        "same_choice": asdict(mean_interval(same, clips)),
    }


def wording_figures(groups: Sequence[Rows], n_orders: int, without: int) -> dict[str, Any]:
    """Figures over W wordings of each question, each with the same orders of its choices: the mean accuracy, that of
    every wording, and their spread.

    `item_sd` is the standard deviation of a question's accuracy over its wordings, mean over questions;
    `item_sd_orders` the same over the orders of its choices, None with one order. `same_choice` compares the wordings
    in the order of the file. Returns {} where every answer is hidden.

    Args:
        groups: for each question W x `n_orders` rows, all orders of a wording together.
        without: questions without another wording, whose own stands in its place.
    """
    known = [rows for rows in groups if rows[0]["correct"] is not None]
    if not known:
        return {}
    clips, n = [rows[0]["clip"] for rows in known], len(known[0]) // n_orders
    rates = [_rates(rows, n_orders) for rows in known]
    by_wording = [mean(by[w] for by, _ in rates) for w in range(n)]
    same = [float(len({row["choice"] for row in rows[::n_orders]}) == 1) for rows in known]
    return {
        "n_wordings": n,
        "mean": asdict(mean_interval([mean(by) for by, _ in rates], clips)),
        "by_wording": by_wording,
        "sd": stdev(by_wording),
        "low": min(by_wording),
        "high": max(by_wording),
        "same_choice": asdict(mean_interval(same, clips)),
        "item_sd": mean(pstdev(by) for by, _ in rates),
        "item_sd_orders": mean(pstdev(by) for _, by in rates) if n_orders > 1 else None,
        "n_without": without,
    }


def robustness_rows(groups: Sequence[Rows], n_orders: int) -> list[dict[str, Any]]:
    """One row for each question whose answer is known: its accuracy in each wording and in each order, and their
    standard deviations."""
    rows = []
    for group in groups:
        if group[0]["correct"] is not None:
            by_wording, by_order = _rates(group, n_orders)
            labels = {key: group[0][key] for key in ("id", "clip", "task", "difficulty")}
            spread = {"sd_wordings": pstdev(by_wording), "sd_orders": pstdev(by_order)}
            rows.append({**labels, "wordings": by_wording, "orders": by_order, **spread})
    return rows


def _rates(rows: Rows, n_orders: int) -> tuple[list[float], list[float]]:
    """(accuracy in each wording, mean over orders; accuracy in each order, mean over wordings)."""
    right = [float(row["correct"]) for row in rows]
    by_wording = [mean(right[first : first + n_orders]) for first in range(0, len(right), n_orders)]
    return by_wording, [mean(right[k::n_orders]) for k in range(n_orders)]
