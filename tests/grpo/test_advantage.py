"""Advantages compare each completion with the other completions of its prompt."""

import statistics

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harken.grpo.advantage import advantages, equal_group_share


def test_advantages_worked_by_hand():
    # mean 0.25, unbiased std of 1, 0, 0, 0 is 0.5
    rewards = torch.tensor([[1.0, 0, 0, 0], [1, 1, 1, 1]], dtype=torch.float64)
    expected = [[0.75 / 0.5001, -0.25 / 0.5001, -0.25 / 0.5001, -0.25 / 0.5001], [0, 0, 0, 0]]
    torch.testing.assert_close(advantages(rewards, scale=True), torch.tensor(expected, dtype=torch.float64))
    torch.testing.assert_close(advantages(rewards, scale=False)[0], torch.tensor([0.75, -0.25, -0.25, -0.25]).double())


@given(st.integers(2, 6).flatmap(lambda g: st.lists(st.lists(st.floats(-3, 3), min_size=g, max_size=g), min_size=1)))
def test_each_group_equals_the_slow_form(rows):
    found = advantages(torch.tensor(rows, dtype=torch.float64), scale=True)
    for row, values in zip(rows, found.tolist(), strict=True):
        mean, std = statistics.fmean(row), statistics.stdev(row)
        assert values == pytest.approx([(r - mean) / (std + 1e-4) for r in row], abs=1e-9)


def test_equal_rewards_teach_nothing_even_where_they_have_no_exact_binary_form():
    found = advantages(torch.full((3, 7), 0.1), scale=True)
    assert found.dtype == torch.float32
    assert found.abs().max() < 1e-11


def test_share_of_groups_with_equal_rewards():
    assert equal_group_share(torch.tensor([[1.0, 1], [0, 1], [0, 0], [1, 0]])) == 0.5


@pytest.mark.parametrize("shape", [(4,), (2, 1), (2, 2, 2)])
def test_a_group_needs_two_completions(shape):
    with pytest.raises(ValueError, match=r"\[P, G\]"):
        advantages(torch.zeros(shape), scale=True)
