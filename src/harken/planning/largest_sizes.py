"""The largest micro-batch and the widest rollout with which a run fits a card, by its account."""

from bisect import bisect_left
from dataclasses import replace

from harken.planning import pass_memory
from harken.planning.memory import plan_memory
from harken.planning.memory_items import RESERVE
from harken.planning.planned_run import PlannedRun

CACHE_SHARE = 0.8
"""Share of the free memory that the keys and values of a rollout may take. The rest is for the prompts' own cache, for
the copy that is made when a layer of the cache grows, and for the pass over the prompts; it is an estimate."""


def tokens_that_fit(run: PlannedRun, card_bytes: int) -> int:
    """The most tokens of a micro-batch with which the run needs at most `card_bytes` of a card, by its account; those
    of one prompt at least."""
    width = run.packed_tokens

    def is_too_much(prompts: int) -> bool:
        changed = run.settings.model_copy(update={"tokens_per_micro_batch": prompts * width})
        return plan_memory(replace(run, settings=changed)).peak + RESERVE > card_bytes

    # The peak never falls with more prompts, so this is the first number, from 2 on, that does not fit.
    first = bisect_left(range(2, run.prompts_per_card + 1), True, key=is_too_much) + 2
    return (first - 1) * width


def rollout_tokens_that_fit(run: PlannedRun, card_bytes: int) -> int | None:
    """The most tokens in the cache of a rollout; None where there is no rollout."""
    if not run.is_grpo or pass_memory.engine(run):
        return None
    plan = plan_memory(run)
    cache = pass_memory.keys_and_values(run).device
    others = sum(item.device for item in plan.held + plan.rollout) - cache
    free = max(0, card_bytes - RESERVE - others)
    return int(CACHE_SHARE * free) // pass_memory.token_bytes(run)
