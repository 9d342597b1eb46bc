"""Advantages of the completions of a step, where they are compared or scaled over the whole step and all ranks."""

from collections.abc import Sequence

from harken.config import GrpoConfig
from harken.grpo.advantage import OVER_STEP, Moments, moments, over_step, scaled_by_step
from harken.grpo.micro_batch import RewardedBatch
from harken.system.ranks import Ranks


def normalize_over_step(batches: Sequence[RewardedBatch], settings: GrpoConfig, ranks: Ranks) -> None:
    """Complete the advantages that groups alone gave, where the recipe compares over the whole step. Every rank has to
    call it."""
    own = [batch for batch in batches if batch.sampled.responses]  # without stand-ins
    estimator = settings.advantage
    if estimator in OVER_STEP:
        of_tokens = OVER_STEP[estimator] == "tokens"
        tokens = [response.tokens if of_tokens else 1 for batch in own for response in batch.sampled.responses]
        of_step = _moments([value for batch in own for value in batch.advantages.tolist()], tokens, ranks)
        for batch in own:
            batch.advantages = over_step(estimator, batch.advantages, of_step)
    elif estimator == "group" and settings.scale_rewards == "step":
        rewards = [value for batch in own for value in batch.rewards.flatten().tolist()]
        of_step = _moments(rewards, [1] * len(rewards), ranks)
        for batch in own:
            batch.advantages = scaled_by_step(batch.advantages, of_step)


def _moments(values: Sequence[float], counts: Sequence[int], ranks: Ranks) -> Moments:
    """Moments of the values of all ranks."""
    pairs = [pair for part in ranks.gather(list(zip(values, counts, strict=True))) for pair in part]
    return moments([value for value, _ in pairs], [count for _, count in pairs])
