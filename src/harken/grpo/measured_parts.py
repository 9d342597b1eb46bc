"""Reward parts that need what was measured of a completion and not only its text: its tokens, its log-probabilities."""

from harken.config import GrpoConfig, RewardConfig
from harken.grpo.micro_batch import ScoredBatch
from harken.grpo.without_clip_pass import heard_groups
from harken.rewards import listening, overlong


def measured_parts(batch: ScoredBatch, config: RewardConfig, settings: GrpoConfig) -> dict[str, list[float]]:
    """Name of a part -> [R] its values, for those of them that the reward has."""
    return {**_listening(batch, config, settings.completions_per_prompt), **_overlong(batch, config, settings)}


def _listening(batch: ScoredBatch, config: RewardConfig, group: int) -> dict[str, list[float]]:
    """The part listening; 0 for questions without a clip."""
    options = config.listening_options
    if options is None:
        return {}
    values = [[0.0] * group if own is None else listening(own, options) for own in heard_groups(batch.sampled)]
    return {"listening": [value for own in values for value in own]}


def _overlong(batch: ScoredBatch, config: RewardConfig, settings: GrpoConfig) -> dict[str, list[float]]:
    options, longest = config.overlong, settings.max_completion_tokens
    if options is None:
        return {}
    tokens = [response.tokens for response in batch.sampled.responses]
    return {"overlong": [overlong(own, longest, options.buffer_tokens) for own in tokens]}
