"""Rewards: pure functions from what a completion said to numbers. `compose` weighs and adds the parts of a step."""

from harken.rewards.accuracy import accuracy
from harken.rewards.compose import compose
from harken.rewards.format import format_reward

__all__ = ["accuracy", "compose", "format_reward"]
