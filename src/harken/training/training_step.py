"""What a caller of a training loop gets of each step: its number, its metric row and its completions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """One step, before its checkpoint is written.

    Attributes:
        number: from 1.
        last: number of the last step that is planned.
        metrics: the metric row, as in metrics.jsonl.
        completions: a row for each completion, as in rollouts/; empty in supervised fine-tuning.
        shown: whether the run's own table shows this step (`logging.every`).
    """

    number: int
    last: int
    metrics: Mapping[str, float]
    completions: Sequence[Mapping[str, Any]]
    shown: bool

    @property
    def row(self) -> Mapping[str, Any]:
        """The metric row with the number of the step."""
        return {"step": self.number, **self.metrics}


OnStep = Callable[[TrainingStep], bool | None]
"""Called on rank 0 after each step. Returning True ends the run after this step, with a checkpoint."""
