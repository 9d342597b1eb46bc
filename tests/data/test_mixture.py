"""Files are mixed by weight exactly, and the order depends on (seed, step) alone."""

import hashlib
import itertools
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.config import DataConfig
from harken.data.mixture import mixed_batch
from harken.data.question_order import QuestionOrder, shuffled_batch
from harken.types import Question

FILES = st.lists(st.tuples(st.integers(1, 9), st.floats(0.01, 50)), min_size=1, max_size=5)


@settings(deadline=None, max_examples=40)
@given(files=FILES, size=st.integers(1, 9), seed=st.integers(0, 2**63 - 1))
def test_every_file_keeps_its_share_from_the_first_step_on(files, size, seed):
    sizes, weights = zip(*files, strict=True)
    counts = [0] * len(files)
    for step in range(12):
        for file, _ in mixed_batch(sizes, weights, size, step, seed):
            counts[file] += 1
        for file, count in enumerate(counts):
            share = Fraction(weights[file]) / sum(map(Fraction, weights))
            assert abs(count - share * size * (step + 1)) < len(files)


@settings(deadline=None, max_examples=40)
@given(files=FILES, seed=st.integers(0, 2**63 - 1), cut=st.integers(1, 12))
def test_the_samples_of_a_run_do_not_depend_on_the_size_of_its_steps(files, seed, cut):
    sizes, weights = zip(*files, strict=True)
    whole = mixed_batch(sizes, weights, 24, 0, seed)
    assert len(whole) == 24
    parts = [mixed_batch(sizes, weights, cut, step, seed) for step in range(-(-24 // cut))]
    assert list(itertools.chain.from_iterable(parts))[:24] == whole


def test_samples_are_those_of_a_slow_timetable():
    """Every sample of every file is written down with its time, and all are sorted."""
    sizes, weights, seed = (5, 2, 7), (3.0, 1.0, 0.5), 11
    timetable = []
    for file, weight in enumerate(weights):
        digest = hashlib.blake2b(f"offset,{seed},{file}".encode(), digest_size=8).digest()
        offset = Fraction(int.from_bytes(digest, "little"), 2**64)
        timetable += [((j + offset) / (Fraction(weight) / Fraction(4.5)), file) for j in range(90)]
    expected = [file for _, file in sorted(timetable)[:90]]
    for size in (90, 9):
        batches = [mixed_batch(sizes, weights, size, step, seed) for step in range(90 // size)]
        assert [file for batch in batches for file, _ in batch] == expected


def test_each_file_is_gone_through_once_before_any_question_comes_twice():
    order = mixed_batch((5, 3), (1.0, 1.0), 60, 0, seed=4)
    for file, size in ((0, 5), (1, 3)):
        own = [index for other, index in order if other == file]
        epochs = [own[start : start + size] for start in range(0, len(own) - size + 1, size)]
        assert all(sorted(epoch) == list(range(size)) for epoch in epochs)
        assert len({tuple(epoch) for epoch in epochs}) > 2


def test_seeds_have_their_own_orders_and_a_late_step_is_computed_alone():
    assert mixed_batch((50, 50), (1, 2), 8, 3, seed=1) != mixed_batch((50, 50), (1, 2), 8, 3, seed=2)
    assert len(mixed_batch((50, 50), (1, 2), 8, 10**6, seed=1)) == 8
    with pytest.raises(ValueError, match=r"no batch of 8 at step 0 from files of \[5, 0\] questions"):
        mixed_batch((5, 0), (1, 1), 8, 0, seed=0)


def questions(*counts):
    return [
        Question(f"{file}-{i}", "Which?", ("a", "b"), 0, None, source_number=file)
        for file, count in enumerate(counts)
        for i in range(count)
    ]


def test_the_order_of_a_run_mixes_where_files_have_weights_and_shuffles_all_where_not():
    mixed = QuestionOrder.of(questions(30, 4), 7, easy_to_hard=False, weights=[1, 1])
    drawn = [index for step in range(6) for index in mixed.batch(8, step, 6)]
    n_second = sum(index >= 30 for index in drawn)
    assert n_second == pytest.approx(24, abs=1)  # the four of the second file, six times each
    plain = QuestionOrder.of(questions(30, 4), 7, easy_to_hard=False, weights=[None, None])
    assert plain.batch(8, 2, 6) == shuffled_batch(34, 8, 2, 7)


@pytest.mark.parametrize("weights", [[None, None], [3, 1]])
def test_replacements_are_others_than_those_taken_and_follow_from_seed_and_step(weights):
    order = QuestionOrder.of(questions(6, 3), 5, easy_to_hard=False, weights=weights)
    taken = {0, 4, 7}
    others = order.replacements(4, 2, taken)
    assert len(others) == len(set(others)) == 4
    assert not set(others) & taken
    assert others == order.replacements(4, 2, taken)
    assert {tuple(order.replacements(4, step, taken)) for step in range(8)} != {tuple(others)}
    assert set(order.replacements(9, 2, taken)) == {1, 2, 3, 5, 6, 8}, "fewer, where no more are left"


def train(*weights):
    return {"train": [{"file": f"{i}.jsonl", **({} if w is None else {"weight": w})} for i, w in enumerate(weights)]}


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (train(3, None), r"train.1.weight: other files have a weight: set one for each file or for none"),
        (train(0), "greater than 0"),
        ({**train(1, 1), "order": "pass_rate", "pass_rates": "r.jsonl"}, "remove the weights"),
    ],
)
def test_weights_that_cannot_be_are_refused(data, fault):
    with pytest.raises(ValueError, match=fault):
        DataConfig.model_validate(data)
