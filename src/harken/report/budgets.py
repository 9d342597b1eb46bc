"""Accuracy against the length of the reasoning: evaluations with forced thinking budgets, for the report's plot.

`harken evaluate --force think:64` ends the reasoning after 64 tokens. Evaluations with several budgets, also without
the clip, show whether thinking helps and whether a model that thinks longer listens less.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from harken.config.evaluation import think_budget
from harken.report.paired_figures import accuracy_of, paired_gains
from harken.report.question_sets import AFTER, BEFORE, QuestionSet
from harken.stats import Estimate

WITHOUT_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class BudgetAccuracy:
    """One budget: accuracy with the clip before and after training; None where it was not evaluated.

    Attributes:
        label: the budget, with the mean number of words of the reasoning after training (before, where there is none
            after).
        audio_gain: with the clip minus without it at the same budget, of the model after training, or before.
    """

    label: str
    before: Estimate | None
    after: Estimate | None
    audio_gain: Estimate | None


def budget_lines(questions: QuestionSet) -> Sequence[BudgetAccuracy]:
    """One line for each forced form, from no reasoning to the longest; empty with fewer than two."""
    forms = sorted({force for _, force, _ in questions.forced}, key=_tokens)
    if len(forms) < 2:
        return []
    lines = []
    for force in forms:
        before, after = (questions.forced.get((when, force, "real")) for when in (BEFORE, AFTER))
        when, shown = (AFTER, after) if after is not None else (BEFORE, before)
        if shown is None:
            continue
        without = questions.forced.get((when, force, "none"))
        words = [len(str(row.get("reasoning", "")).split()) for row in shown.rows]
        label = f"{_label(force)}, {sum(words) / len(words):.0f} words"
        gain = paired_gains(without, shown, [], whole_only=True).get("all")
        lines.append(BudgetAccuracy(label, accuracy_of(before, "all"), accuracy_of(after, "all"), gain))
    return lines


def _tokens(force: str) -> int:
    return 0 if force == "no_think" else think_budget(force) or WITHOUT_LIMIT


def _label(force: str) -> str:
    budget = think_budget(force)
    if budget is not None:
        return f"up to {budget} tokens"
    return "no reasoning" if force == "no_think" else "no limit"
