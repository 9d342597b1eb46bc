"""When a pass over micro-batches does not fit into memory: the same pass over halves of them.

Takes a list of micro-batches and a pass over it, gives the pass's result; the list holds the halves afterwards. Groups
stay whole, so the halves add up to the same result. Several ranks go through as many micro-batches each, so
there nothing is halved. Not taken: going on with the micro-batch that failed; what its backward pass had added to the
gradients cannot be told apart, so the pass begins again.
"""

from collections.abc import Callable
from typing import TypeVar

import torch

from harken.errors import HarkenError
from harken.grpo.batch import MicroBatch
from harken.system.ranks import SINGLE_PROCESS, Ranks

T = TypeVar("T")


def halving(
    batches: list[MicroBatch],
    run: Callable[[], T],
    undo: Callable[[], None],
    note: Callable[[str], None],
    ranks: Ranks = SINGLE_PROCESS,
) -> T:
    """`run()`; each time that memory does not suffice, `undo()`, the largest micro-batches halved, a note, once more.

    Raises HarkenError where every micro-batch is a single group already, and on several ranks at once.
    """
    while True:
        try:
            return run()
        except torch.OutOfMemoryError as error:
            said = str(error).split(". ")[0]
        # Out of the except block: the error held every tensor of the pass.
        undo()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        largest = max(len(batch.questions) for batch in batches)
        if ranks.size > 1 and largest > 1:
            raise HarkenError(
                f"rank {ranks.rank} of {ranks.size}: not enough memory for {largest} questions at once ({said}): "
                f"set grpo.prompts_per_micro_batch: {(largest + 1) // 2}, or see `harken plan --gpus {ranks.size}`"
            )
        if largest <= 1:
            raise HarkenError(
                f"not enough memory for one question with its {len(batches[0].responses)} completions ({said}): "
                "`harken plan` names settings that fit"
            )
        batches[:] = [part for batch in batches for part in _parts(batch, (largest + 1) // 2)]
        size = max(len(batch.questions) for batch in batches)
        note(f"a micro-batch of {largest} questions does not fit into memory; going on with {size} ({said})")


def _parts(batch: MicroBatch, size: int) -> list[MicroBatch]:
    return [batch.groups(start, start + size) for start in range(0, len(batch.questions), size)]
