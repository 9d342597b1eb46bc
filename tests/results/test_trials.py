"""Figures over samples and choice orders, worked by hand and by counting."""

import itertools

import pytest

from harken.results.trials import majority, order_figures, pass_at, pass_rate_rows, sample_figures
from harken.stats import mean_interval


def row(ident: str, choice: str | None, answer: str | None = "a", clip: str = "") -> dict:
    correct = None if answer is None else choice == answer
    return {
        **{"id": ident, "clip": clip or ident, "task": "", "difficulty": ""},
        **{"choice": choice, "correct": correct},
    }


@pytest.mark.parametrize(("n", "correct"), [(1, 0), (1, 1), (4, 0), (4, 1), (4, 3), (6, 2), (6, 6)])
def test_pass_at_k_is_the_share_of_subsets_with_a_right_one(n, correct):
    for k in range(1, n + 1):
        subsets = list(itertools.combinations([1] * correct + [0] * (n - correct), k))
        assert pass_at(n, correct, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


@pytest.mark.parametrize(("n", "correct", "k"), [(4, 5, 1), (4, -1, 1), (4, 2, 0), (4, 2, 5)])
def test_pass_at_k_refuses_what_cannot_be(n, correct, k):
    with pytest.raises(ValueError, match="pass_at"):
        pass_at(n, correct, k)


def test_the_majority_is_by_text_ties_go_to_the_first_and_unreadable_answers_do_not_vote():
    assert majority([row("1", "b"), row("1", "a"), row("1", "a")])["choice"] == "a"
    assert majority([row("1", "b"), row("1", "a"), row("1", "a"), row("1", "b")])["choice"] == "b"
    assert majority([row("1", None), row("1", None), row("1", "b")])["choice"] == "b"
    assert majority([row("1", None), row("1", None)])["choice"] is None


GROUPS = [
    [row("1", "a", clip="x"), row("1", "a", clip="x"), row("1", "b", clip="x"), row("1", None, clip="x")],
    [row("2", "b", clip="x"), row("2", "b", clip="x"), row("2", "a", clip="x"), row("2", "b", clip="x")],
    [row("3", "a"), row("3", "a"), row("3", "a"), row("3", "a")],
    [row("4", "a", None), row("4", "b", None), row("4", "b", None), row("4", "b", None)],
]


def test_sample_figures_by_hand():
    found = sample_figures(GROUPS)
    assert found["n_samples"] == 4
    assert found["average"]["mean"] == pytest.approx((2 / 4 + 1 / 4 + 1) / 3)
    assert (found["average"]["n"], found["average"]["clusters"]) == (3, 2)  # the hidden answer is not among them
    assert found["majority"]["mean"] == pytest.approx(2 / 3)
    by_clip = mean_interval([0.5, 0.25, 1.0], ["x", "x", "3"])
    assert (found["average"]["low"], found["average"]["high"]) == (by_clip.low, by_clip.high)
    # two right of four: 1 - C(2,2)/C(4,2) = 5/6; one right of four: 1 - C(3,2)/C(4,2) = 1/2
    assert {k: one["mean"] for k, one in found["pass_at"].items()} == {
        "1": pytest.approx(7 / 12),
        "2": pytest.approx((5 / 6 + 1 / 2 + 1) / 3),
        "4": pytest.approx(1.0),
    }


def test_order_figures_by_hand():
    found = order_figures(GROUPS)
    assert found["n_orders"] == 4
    assert found["by_order"] == pytest.approx([2 / 3, 2 / 3, 2 / 3, 1 / 3])
    assert found["mean"]["mean"] == pytest.approx(7 / 12)
    assert (found["low"], found["high"]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert found["sd"] == pytest.approx(1 / 6)
    assert found["same_choice"]["mean"] == pytest.approx(1 / 3)


def test_pass_rates_are_one_row_a_question_and_hidden_answers_have_none():
    rows = pass_rate_rows(GROUPS)
    assert [(one["id"], one["n_correct"], one["pass_rate"], one["majority"]) for one in rows] == [
        *[("1", 2, 0.5, "a"), ("2", 1, 0.25, "b"), ("3", 4, 1.0, "a"), ("4", None, None, "b")]
    ]
    assert [one["n_unreadable"] for one in rows] == [1, 0, 0, 0]
    assert [one["majority_correct"] for one in rows] == [True, False, True, None]
    assert sample_figures(GROUPS[3:]) == order_figures(GROUPS[3:]) == {}
