"""Which mode each reward trains, on questions whose accuracy with and without thinking is known: a simulation.

    python benchmarks/mode_cases.py            # print the table
    python benchmarks/mode_cases.py --write    # put it into docs/rewards.md

A policy decides for each case whether to think, and nothing else: an answer is right with the probability p of its case
without thinking and q with it. All cases are trained together by GRPO, with harken's rewards, balance and advantages.
So the table shows what the rewards ask for, apart from what a model learns beside it.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from figure_cells import rule
from harken.grpo.advantage import advantages
from harken.results.formatting import markdown
from harken.rewards.adaptive import PenaltyFactors, penalty_factors, priced_accuracy, think_accuracy
from harken.stats import Estimate
from harken.system.files import write_text
from harken.types import Form
from marked_page import between_marks

PAGE = Path(__file__).parents[1] / "docs" / "rewards.md"
BEGIN, END = "<!-- made by benchmarks/mode_cases.py -->", "<!-- end of the cases -->"
CASES = ((0.70, 0.95), (0.42, 0.42), (0.40, 0.90), (0.95, 0.95))
"""(p, q) of each case."""
STEPS, PROMPTS, GROUP, RATE, SEEDS = 300, 8, 8, 4.0, 3
"""Steps, prompts of each case in a step, completions of a prompt, learning rate of the logits, repetitions."""

Reward = Callable[[Form, bool, PenaltyFactors], float]


@dataclass(frozen=True, slots=True)
class Arm:
    """A reward, whether its advantages are divided by the deviation of their group, and whether modes are balanced."""

    reward: Reward
    scale: bool
    balance: bool = True


def price_of_a_tenth(form: Form, correct: bool, factors: PenaltyFactors) -> float:
    return priced_accuracy(form, correct, factors, 0.1)


def accuracy_alone(form: Form, correct: bool, factors: PenaltyFactors) -> float:
    return float(correct)


ARMS = {
    "ATAR": Arm(think_accuracy, scale=True),
    "ATAR, not divided": Arm(think_accuracy, scale=False),
    "ATAR without balance": Arm(think_accuracy, scale=True, balance=False),
    "price of 0.1": Arm(price_of_a_tenth, scale=False),
    "accuracy reward": Arm(accuracy_alone, scale=True),
}


def train(arm: Arm, seed: int, steps: int = STEPS) -> np.ndarray:
    """[cases] the probability of thinking after training; it begins at one half."""
    draw = np.random.default_rng(seed)
    without, with_thinking = (np.array(column)[:, None, None] for column in zip(*CASES, strict=True))
    logits = np.zeros(len(CASES))
    for step in range(steps):
        thinks_with = 1 / (1 + np.exp(-logits))
        think = draw.random((len(CASES), PROMPTS, GROUP)) < thinks_with[:, None, None]
        right = draw.random(think.shape) < np.where(think, with_thinking, without)
        factors = penalty_factors(float(think.mean()), step / steps) if arm.balance else PenaltyFactors(1, 1)
        value = np.array(
            [[arm.reward(form, correct, factors) for correct in (False, True)] for form in ("no_think", "think")],
            dtype=np.float64,
        )
        rewards = torch.from_numpy(value[think.astype(int), right.astype(int)]).flatten(0, 1)
        advantage = advantages(rewards, scale=arm.scale).numpy().reshape(think.shape)
        logits += RATE * (advantage * (think - thinks_with[:, None, None])).mean(axis=(1, 2))
    return 1 / (1 + np.exp(-logits))


def table(steps: int = STEPS) -> str:
    """The share of answers without thinking that each reward ends with, from the smallest to the largest repetition."""
    ends = {name: np.array([train(arm, seed, steps) for seed in range(SEEDS)]) for name, arm in ARMS.items()}
    rows = []
    for i, (p, q) in enumerate(CASES):
        threshold, says = rule(*(Estimate(value, value, value, 1, 1) for value in (p, q)))
        rates = [100 * (1 - end[:, i]) for end in ends.values()]
        cells = [f"{rate.min():.0f} to {rate.max():.0f}" for rate in rates]
        rows.append([f"{100 * p:.0f}", f"{100 * q:.0f}", threshold, says, *cells])
    header = ["right without thinking, p %", "with it, q %", "(1 + q) / 3", "the rule says"]
    return markdown([*header, *(f"{name}: no-think, %" for name in ARMS)], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/rewards.md")
    if parser.parse_args().write:
        write_text(PAGE, between_marks(PAGE.read_text(encoding="utf-8"), BEGIN, f"\n{table()}\n", END))
    else:
        print(table())


if __name__ == "__main__":
    main()
