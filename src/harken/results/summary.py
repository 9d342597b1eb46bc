"""The summary of one evaluation: accuracy by group, counts, and how often the model thinks.

`harken evaluate` writes the summary to summary.json. Every question counts; unreadable answers count as wrong.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harken.questions.grader import OPEN
from harken.questions.output_parts import form
from harken.results.evaluation_rows import Row, group_rows
from harken.stats import Estimate, chance, mean_interval


def accuracy(rows: Sequence[Row]) -> Estimate:
    """The share of the rows that are correct, with its 95 % interval clustered by clip."""
    return mean_interval([float(row["correct"]) for row in rows], [row["clip"] for row in rows])


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """The summary of one evaluation, ready for JSON.

    Accuracy is over the rows whose answer is known. Rows whose answer the benchmark hides are counted in
    `n_hidden_answer`, open questions and instructions in `n_open`; where none is known, `accuracy` is empty. `chance`
    is None where no question has choices.
    """
    known = [row for row in rows if row["correct"] is not None]
    n_choices = [len(row["choices"]) for row in rows if row["choices"]]
    n_open = sum(row["reason"] == OPEN for row in rows)
    return {
        "n": len(rows),
        "n_hidden_answer": len(rows) - len(known) - n_open,
        "n_open": n_open,
        "n_unreadable": sum(row["choice"] is None for row in rows) - n_open,
        "n_cut_at_maximum": sum(not row["ended"] for row in rows),
        "n_rejected": sum(row["reason"].startswith("rejected: ") for row in rows),
        "reasons": dict(Counter(row["reason"].split(":")[0] for row in rows).most_common()),
        "chance": chance(n_choices) if n_choices else None,
        "accuracy": {name: asdict(accuracy(members)) for name, members in group_rows(known).items() if members},
        **_think_rates(rows),
    }


def _think_rates(rows: Sequence[Row]) -> dict[str, Any]:
    """How many outputs have each form, and the share of valid outputs without thinking, over all and by difficulty.

    Questions that the model did not get, or whose request failed, have no output and are left out. Returns {} where
    no output has a tag.
    """
    with_output = [row for row in rows if row["tokens"] != 0 and not row["reason"].startswith("failed: ")]
    if not any(tag in row["completion"] for row in with_output for tag in ("<think>", "<answer>")):
        return {}
    forms = [form(row["completion"]) for row in with_output]
    valid = [
        (row, float(kind == "no_think")) for row, kind in zip(with_output, forms, strict=True) if kind != "malformed"
    ]
    rates = {}
    for name in ("all", *sorted({row["difficulty"] for row, _ in valid} - {""})):
        members = [(value, row["clip"]) for row, value in valid if name in ("all", row["difficulty"])]
        if members:
            values, clips = zip(*members, strict=True)
            rates[name] = asdict(mean_interval(values, clips))
    return {"forms": dict(Counter(forms).most_common()), "no_think": rates}
