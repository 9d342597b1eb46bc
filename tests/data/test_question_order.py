"""The order of questions depends on (seed, step) alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.data.question_order import shuffled_batch


@given(n=st.integers(1, 30), size=st.integers(1, 40), seed=st.integers(0, 2**63 - 1), first=st.integers(0, 50))
def test_every_epoch_holds_every_question_once_even_where_batches_straddle(n, size, seed, first):
    steps = range(first + 1 + 3 * n // size + 1)
    order = [index for step in steps for index in shuffled_batch(n, size, step, seed)]
    assert len(order) == size * len(steps)
    for start in range(0, len(order) - n + 1, n):
        assert sorted(order[start : start + n]) == list(range(n))


def test_a_resumed_run_equals_an_uninterrupted_one():
    whole = [shuffled_batch(100, 7, step, seed=3) for step in range(60)]
    resumed = [shuffled_batch(100, 7, step, seed=3) for step in range(41, 60)]
    assert resumed == whole[41:]


def test_epochs_and_seeds_have_their_own_orders():
    orders = [tuple(shuffled_batch(50, 50, epoch, seed)) for epoch in range(3) for seed in (0, 1, 2)]
    assert len(set(orders)) == 9
    assert tuple(range(50)) not in orders


def philox(counter, key):
    """Philox4x64-10 as its paper has it (Salmon et al. 2011), in plain integers: 4 words of 64 bits."""
    mask, (c0, c1, c2, c3), (k0, k1) = 2**64 - 1, counter, key
    for _ in range(10):
        high0, low0 = divmod(0xD2E7470EE14C6C93 * c0, 2**64)
        high1, low1 = divmod(0xCA5A826395121157 * c2, 2**64)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
    return [c0, c1, c2, c3]


@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (7, 2), (2**63 - 1, 11)])
def test_the_order_is_that_of_philox_words_on_every_machine_and_version(seed, epoch):
    words = [word for block in (1, 2) for word in philox((block, 0, 0, 0), (seed, epoch))]
    assert shuffled_batch(8, 8, epoch, seed) == sorted(range(8), key=words.__getitem__)


def test_each_question_is_equally_often_first():
    first = [shuffled_batch(5, 1, 5 * epoch, seed=1)[0] for epoch in range(2000)]
    counts = [first.count(index) for index in range(5)]
    assert counts == pytest.approx([400] * 5, abs=72)  # 4 standard deviations of a binomial


@pytest.mark.parametrize("arguments", [(0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_a_batch_that_cannot_be_is_an_error(arguments):
    with pytest.raises(ValueError, match="no batch of"):
        shuffled_batch(*arguments, seed=0)
