"""Runs a pass over micro-batches; where it does not fit into memory, halves them and runs it again.

Sampling, the reference pass and the update all use this. Groups stay whole, so a pass over the halves gives the result
of the pass over the whole. The pass begins again from its first micro-batch: what a broken backward pass has added to
the gradients cannot be separated from the rest.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, Self, TypeVar

import torch

from harken.errors import HarkenError
from harken.system.ranks import SINGLE_PROCESS, Ranks
from harken.types import Question

T = TypeVar("T")

PLAN = "`harken plan` names settings that fit"


class Divisible(Protocol):
    """A micro-batch at any stage that can be cut into whole groups."""

    @property
    def questions(self) -> Sequence[Question]: ...

    def groups(self, first: int, last: int) -> Self: ...


BatchT = TypeVar("BatchT", bound=Divisible)


def halve_until_it_fits(
    batches: list[BatchT],
    run: Callable[[], T],
    *,
    undo: Callable[[], None] = lambda: None,
    warn: Callable[[str], None],
    ranks: Ranks = SINGLE_PROCESS,
    advice: str | None = None,
) -> T:
    """Return `run()`. Each time it runs out of memory: call `undo()`, halve the largest micro-batches, warn, run again.

    Args:
        batches: what `run` works through; holds the halves afterwards.
        ranks: with several ranks nothing is halved, because all ranks must go through equally many micro-batches.
        advice: the end of the errors, where a smaller micro-batch is not what helps.

    Raises HarkenError where every micro-batch is a single group already, and with several ranks at once.
    """
    while True:
        try:
            return run()
        except torch.OutOfMemoryError as error:
            reason = str(error).split(". ")[0]
        # Outside of the except block, because the error keeps every tensor of the pass alive.
        undo()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        largest = max(len(batch.questions) for batch in batches)
        half = (largest + 1) // 2
        if ranks.size > 1 and largest > 1:
            raise HarkenError(
                f"rank {ranks.rank} of {ranks.size}: not enough memory for {largest} questions at once ({reason}): "
                f"{advice or f'set a smaller grpo.tokens_per_micro_batch, or see `harken plan --gpus {ranks.size}`'}"
            )
        if largest <= 1:
            raise HarkenError(f"not enough memory for one question with its completions ({reason}): {advice or PLAN}")
        batches[:] = [part for batch in batches for part in _parts(batch, half)]
        size = max(len(batch.questions) for batch in batches)
        warn(f"a micro-batch of {largest} questions does not fit into memory; going on with {size} ({reason})")


def _parts(batch: BatchT, size: int) -> list[BatchT]:
    return [batch.groups(start, start + size) for start in range(0, len(batch.questions), size)]
