"""Rewards as pure functions: each turns what a completion says into a number.

`reward_parts` computes every part that a recipe names, over all completions of a step; `compose` adds up the weighted
parts. `harken.grpo.rewarding` calls both.
"""

from harken.rewards.accuracy import accuracy
from harken.rewards.adaptive import PenaltyFactors, penalty_factors, think_accuracy, with_consistency
from harken.rewards.compose import compose
from harken.rewards.custom import CustomReward, custom_rewards, load_custom, per_group, per_step
from harken.rewards.format import format_reward
from harken.rewards.judged import JudgeScores, consistency, quality
from harken.rewards.listening import HeardCompletion, listening
from harken.rewards.overlong import overlong
from harken.rewards.reward_parts import StepTotals, reward_parts, step_totals

__all__ = [
    "CustomReward",
    "HeardCompletion",
    "JudgeScores",
    "PenaltyFactors",
    "StepTotals",
    "accuracy",
    "compose",
    "consistency",
    "custom_rewards",
    "format_reward",
    "listening",
    "load_custom",
    "overlong",
    "penalty_factors",
    "per_group",
    "per_step",
    "quality",
    "reward_parts",
    "step_totals",
    "think_accuracy",
    "with_consistency",
]
