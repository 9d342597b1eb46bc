"""The simulation of docs/rewards.md: each reward trains the mode that its rule names, and the page holds its table."""

import numpy as np

from harken.rewards.adaptive import PenaltyFactors, no_think_threshold
from mode_cases import ARMS, BEGIN, CASES, END, PAGE, price_of_a_tenth, table, train

STEPS = 100


def test_atar_drops_helpful_thinking_and_keeps_unhelpful_thinking_as_the_rule_says():
    dropped = np.array([p > no_think_threshold(q, PenaltyFactors(1, 1)) for p, q in CASES])
    assert dropped.tolist() == [True, False, False, True]
    for name in ("ATAR", "ATAR, not divided", "ATAR without balance"):
        thinks = train(ARMS[name], seed=5, steps=STEPS)
        assert ((thinks < 0.5) == dropped).all(), name


def test_a_price_keeps_thinking_where_it_helps_by_more():
    thinks = train(ARMS["price of 0.1"], seed=5, steps=STEPS)
    assert ((thinks > 0.5) == [q - p > 0.1 for p, q in CASES]).all()
    assert price_of_a_tenth("think", True, PenaltyFactors(1, 1)) == 0.9


def test_the_accuracy_reward_keeps_thinking_where_it_helps_and_says_nothing_else():
    thinks = train(ARMS["accuracy reward"], seed=5, steps=STEPS)
    assert (thinks[[0, 2]] > 0.9).all()


def test_the_page_holds_the_table():
    written = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert written.strip() == table()
