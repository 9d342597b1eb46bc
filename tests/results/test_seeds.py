"""Several seeds of one recipe: mean, spread and the lowest bound, worked by hand."""

import pytest

from harken.errors import DataError
from harken.results.compare import Comparison, compare
from harken.results.comparison_tables import SEEDS_HEADER, seed_rows
from harken.results.seeds import over_seeds
from harken.stats import Estimate


def figure(mean, low=0.0, n=10):
    return Estimate(mean=mean, low=low, high=1.0, n=n, clusters=n)


def seed(before, after, low, group="all", n=10):
    return Comparison(group, figure(before, n=n), figure(after, n=n), figure(after - before, low, n), 3, 0, 0.25)


THREE = [[seed(0.5, 0.8, 0.1)], [seed(0.4, 0.9, 0.3)], [seed(0.6, 0.7, -0.1)]]


def test_mean_spread_and_extremes_are_over_seeds():
    (whole,) = over_seeds(THREE)
    assert (whole.group, whole.n, whole.seeds) == ("all", 10, 3)
    assert whole.before.mean == pytest.approx(0.5)
    assert whole.before.sd == pytest.approx(0.1)  # of 0.5, 0.4, 0.6: sqrt((0 + 0.01 + 0.01) / 2)
    assert (whole.before.low, whole.before.high) == (0.4, 0.6)
    assert whole.after.mean == pytest.approx(0.8)
    assert whole.after.sd == pytest.approx(0.1)
    assert whole.gain.mean == pytest.approx(0.3)
    assert whole.gain.sd == pytest.approx(0.2)  # of 0.3, 0.5, 0.1
    assert (whole.gain.low, whole.gain.high) == (pytest.approx(0.1), pytest.approx(0.5))


def test_the_lowest_bound_is_the_worst_seeds_own_lower_bound():
    (whole,) = over_seeds(THREE)
    assert whole.lowest_bound == -0.1
    (better,) = over_seeds(THREE[:2])
    assert better.lowest_bound == 0.1


def test_the_order_of_seeds_changes_nothing():
    (forward,), (backward,) = over_seeds(THREE), over_seeds(THREE[::-1])
    assert forward.gain.mean == pytest.approx(backward.gain.mean)
    assert forward.gain.sd == pytest.approx(backward.gain.sd)
    assert forward.lowest_bound == backward.lowest_bound


def test_equal_seeds_have_no_spread():
    (whole,) = over_seeds([THREE[0]] * 3)
    assert (whole.after.sd, whole.after.low, whole.after.high) == (0.0, 0.8, 0.8)


def test_groups_stay_apart():
    seeds = [[seed(0.5, 0.8, 0.1), seed(b, 1.0, 0.0, "music", 4)] for b in (0.25, 0.75)]
    whole, music = over_seeds(seeds)
    assert (whole.group, whole.n, music.group, music.n) == ("all", 10, "music", 4)
    assert (music.before.mean, music.after.mean, music.gain.mean) == (0.5, 1.0, 0.5)
    assert music.gain.sd == pytest.approx(0.125**0.5)


def test_one_seed_or_other_questions_have_no_spread_to_give():
    with pytest.raises(DataError, match="two seeds or more, found 1"):
        over_seeds(THREE[:1])
    with pytest.raises(DataError, match="two seeds or more, found 0"):
        over_seeds([])
    with pytest.raises(DataError, match="different questions"):
        over_seeds([THREE[0], [seed(0.5, 0.8, 0.1, n=9)]])
    with pytest.raises(DataError, match="different questions"):
        over_seeds([THREE[0], [seed(0.5, 0.8, 0.1, "music")]])
    with pytest.raises(DataError, match="different questions"):
        over_seeds([THREE[0], [*THREE[1], seed(0.5, 0.8, 0.1, "music")]])


def test_it_takes_what_compare_gives_and_shows_it_in_points():
    def row(ident, correct):
        labels = {"id": ident, "clip": ident, "task": "", "difficulty": "", "question": "which?", "answer": "a"}
        return {**labels, "correct": correct, "choices": ["a", "b"]}

    before = [row("1", False), row("2", False), row("3", True), row("4", True)]
    seeds = [compare(before, [row(str(i + 1), i < right) for i in range(4)]) for right in (3, 4)]
    (whole,) = over_seeds(seeds)
    assert (whole.before.mean, whole.after.mean) == (0.5, 0.875)
    assert whole.gain.mean == pytest.approx(0.375)
    (shown,) = seed_rows([whole])
    assert len(shown) == len(SEEDS_HEADER)
    assert shown[:2] == ("all", "4")
    assert "87.5" in " ".join(shown)
