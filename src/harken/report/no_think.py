"""How often a model answers without thinking, by difficulty (Audio-Thinker, arXiv 2508.08039, figure 2)."""

from collections.abc import Sequence
from dataclasses import dataclass

from harken.questions.output_parts import form
from harken.report.question_sets import AFTER, BEFORE, QuestionSet
from harken.report.run import Evaluation
from harken.stats import Estimate, mean_interval


@dataclass(frozen=True, slots=True)
class NoThinkRate:
    """The share of valid outputs without thinking, before and after training; None where there is none valid.

    Attributes:
        label: the difficulty.
    """

    label: str
    before: Estimate | None
    after: Estimate | None


def no_think_lines(questions: QuestionSet) -> Sequence[NoThinkRate]:
    """One line for each difficulty, of the answers with the clip. Empty where no output thought."""
    rates: dict[str, dict[str, Estimate]] = {BEFORE: {}, AFTER: {}}
    any_thought = False
    for when in (BEFORE, AFTER):
        evaluation = questions.get(when)
        if evaluation is not None:
            rates[when], thought = _rates(evaluation)
            any_thought = any_thought or thought
    if not any_thought:
        return []
    difficulties = sorted({*rates[BEFORE], *rates[AFTER]})
    return [NoThinkRate(name or "unknown", rates[BEFORE].get(name), rates[AFTER].get(name)) for name in difficulties]


def _rates(evaluation: Evaluation) -> tuple[dict[str, Estimate], bool]:
    """The rate by difficulty, and whether any output thought."""
    forms = [(row, form(str(row["completion"]))) for row in evaluation.rows]
    members: dict[str, list[tuple[float, str]]] = {}
    for row, kind in forms:
        if kind != "malformed":
            members.setdefault(str(row["difficulty"]), []).append((float(kind == "no_think"), str(row["clip"])))
    rates = {
        name: mean_interval([value for value, _ in valid], [clip for _, clip in valid])
        for name, valid in members.items()
    }
    return rates, any(kind == "think" for _, kind in forms)
