"""Takes single figures out of evaluations: the accuracy of a group, and the paired difference of two evaluations."""

from harken.errors import DataError
from harken.report.run import Evaluation
from harken.results.compare import compare
from harken.stats import Estimate


def paired_gains(
    before: Evaluation | None, after: Evaluation | None, faults: list[str], *, whole_only: bool = False
) -> dict[str, Estimate]:
    """The paired difference of each group; empty where a side is missing. The reason of a refusal joins `faults`."""
    if before is None or after is None:
        return {}
    try:
        return {
            comparison.group: comparison.gain for comparison in compare(before.rows, after.rows, whole_only=whole_only)
        }
    except DataError as error:
        faults.append(str(error))
        return {}


def accuracy_of(evaluation: Evaluation | None, group: str) -> Estimate | None:
    """The group's accuracy in the evaluation's summary, which is over the same rows."""
    figures = {} if evaluation is None else evaluation.summary.get("accuracy", {})
    return Estimate(**figures[group]) if group in figures else None
