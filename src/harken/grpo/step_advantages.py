"""Advantages of the completions of a step: within each group, and for some estimators over the step and all ranks."""

from collections.abc import Sequence

from harken.grpo.advantage import OVER_STEP, moments, over_step
from harken.grpo.micro_batch import RewardedBatch
from harken.system.ranks import Ranks
from harken.types import Estimator


def normalize_over_step(batches: Sequence[RewardedBatch], estimator: Estimator, ranks: Ranks) -> None:
    """Complete the advantages that groups alone gave, where the estimator compares over the whole step and all ranks.
    Every rank has to call it."""
    if estimator not in OVER_STEP:
        return
    own = []
    for batch in batches:
        if batch.sampled.responses:
            tokens = [response.tokens for response in batch.sampled.responses]
            counts = tokens if OVER_STEP[estimator] == "tokens" else [1] * len(tokens)
            own += zip(batch.advantages.tolist(), counts, strict=True)
    values, counts = zip(*(pair for part in ranks.gather(own) for pair in part), strict=True)
    of_step = moments(values, counts)
    for batch in batches:
        if batch.sampled.responses:
            batch.advantages = over_step(estimator, batch.advantages, of_step)
