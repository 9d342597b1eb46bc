"""Compares the runs of one page with each other: the settings that differ, and the accuracy of two runs, paired."""

from collections.abc import Sequence
from dataclasses import dataclass

from harken.report.paired_figures import paired_gains
from harken.report.question_sets import AFTER, QuestionSet
from harken.report.run import Run
from harken.report.settings import settings_that_differ
from harken.results.formatting import points

_OF_A_SEED = {"seed", "name", "model.path", "data.train"}
"""Settings that may differ between runs of one recipe with several seeds: each starts from the warm start of its seed,
and may have made data of its seed."""
_LONGEST = 300
"""Characters of a setting that are shown."""


@dataclass(frozen=True, slots=True)
class RunComparison:
    """The differences between the runs of a page, in settings and in results.

    Attributes:
        names: of the runs.
        settings: key of a setting and its value in each run, where they differ.
        pairs: of two runs, for each set of questions that both were evaluated on after training, its name and by how
            much the second is better, paired by question; or why they cannot be compared.
    """

    names: Sequence[str]
    settings: Sequence[tuple[str, Sequence[str]]]
    pairs: Sequence[tuple[str, str]]

    @property
    def only_seeds_differ(self) -> bool:
        """Whether the runs are one recipe with several seeds, so that a mean over them says something."""
        return {key for key, _ in self.settings} <= _OF_A_SEED


def compare_runs(
    names: Sequence[str], runs: Sequence[Run], sets: Sequence[Sequence[QuestionSet]]
) -> RunComparison | None:
    """Compare the runs of a page; None where there is only one."""
    if len(runs) < 2:
        return None
    differing = settings_that_differ([run.config for run in runs])
    settings = [(key[:_LONGEST], [value[:_LONGEST] for value in values]) for key, values in differing.items()]
    return RunComparison(names, settings, _pairs(names, sets) if len(runs) == 2 else [])


def _pairs(names: Sequence[str], sets: Sequence[Sequence[QuestionSet]]) -> list[tuple[str, str]]:
    first_sets, second_sets = sets
    pairs = []
    for first in first_sets:
        second = next((other for other in second_sets if other.ids == first.ids), None)
        if second is None or first.get(AFTER) is None or second.get(AFTER) is None:
            continue
        faults: list[str] = []
        gains = paired_gains(first.get(AFTER), second.get(AFTER), faults, whole_only=True)
        better = [f"{points(gain)} points on {gain.n:,} questions" for gain in gains.values()]
        pairs.extend((first.name, text) for text in (*better, *faults))
    return pairs
