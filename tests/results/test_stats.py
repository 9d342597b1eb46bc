"""Intervals equal known forms where these exist, and agree with simulations where they do not."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm
from scipy.stats import t as student

from harken.stats import chance, mcnemar, mean_interval, paired_gain
from interval_coverage import KINDS, gain_of, mean_of, share_holding, simulate


@pytest.mark.parametrize(("right", "n"), [(0, 7), (7, 7), (1, 7), (53, 100), (640, 1000), (1, 2), (1, 1)])
def test_with_one_item_per_clip_it_is_wilsons_interval(right, n):
    estimate = mean_interval([1.0] * right + [0.0] * (n - right), range(n))
    wilson = binomtest(right, n).proportion_ci(method="wilson")
    assert (estimate.low, estimate.high) == pytest.approx((wilson.low, wilson.high), abs=1e-9)
    assert (estimate.mean, estimate.n, estimate.clusters) == (right / n, n, n)


def test_clustered_by_hand():
    # Clips a: 1 1, b: 0 0, c: 1 0, d: 1 1. p = 5/8; residual sums 3/4, -5/4, -1/4, 3/4.
    estimate = mean_interval([1, 1, 0, 0, 1, 0, 1, 1], list("aabbccdd"))
    robust = 4 / 3 * (9 + 25 + 1 + 9) / 16 / 64
    simple = 5 / 8 * 3 / 8 / 7
    n = 8 * simple / robust * (student.ppf(0.975, 7) / student.ppf(0.975, 3)) ** 2
    z = 1.959963984540054
    centre, half = 5 / 8 + z * z / (2 * n), z * (15 / 64 / n + z * z / (4 * n * n)) ** 0.5
    assert (estimate.low, estimate.high) == pytest.approx(
        ((centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n))
    )
    assert (estimate.n, estimate.clusters) == (8, 4)


def test_identical_questions_on_a_clip_count_once():
    # Every item three times: the design effect is nearly 3, so the interval is that of the clips, a little wider.
    clips = [1.0] * 30 + [0.0] * 20
    tripled = mean_interval(clips * 3, list(range(50)) * 3)
    single = mean_interval(clips, range(50))
    assert tripled.high - tripled.low == pytest.approx(single.high - single.low, rel=0.03)
    assert tripled.high - tripled.low > 1.5 * (mean_interval(clips * 3, range(150)).high - 0.6)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_right_or_all_wrong_has_the_width_of_the_number_of_clips(value):
    estimate = mean_interval([value] * 12, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])
    wilson = binomtest(int(value) * 4, 4).proportion_ci(method="wilson")
    assert (estimate.low, estimate.high) == pytest.approx((wilson.low, wilson.high))


def test_balanced_clips_never_make_the_interval_narrower_than_independent_items():
    # Every clip has one right and one wrong item, except the last, so clips hardly differ.
    estimate = mean_interval([1, 0] * 20 + [1, 1], [i // 2 for i in range(42)])
    wilson = binomtest(22, 42).proportion_ci(method="wilson")
    assert (estimate.low, estimate.high) == pytest.approx((wilson.low, wilson.high), abs=1e-9)


def draw(rng, clips, items, share=0.7):
    """Items of a clip share its difficulty: p ~ Beta with mean `share`."""
    p = rng.beta(3 * share, 3 * (1 - share), clips)
    return (rng.random((clips, items)) < p[:, None]).astype(float).ravel(), np.repeat(np.arange(clips), items)


def test_width_agrees_with_a_bootstrap_of_clips():
    rng = np.random.default_rng(0)
    values, clusters = draw(rng, 120, 5)
    sums = values.reshape(120, 5).mean(1)
    means = sums[rng.integers(0, 120, (4000, 120))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    estimate = mean_interval(values.tolist(), clusters.tolist())
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=0.012)


def test_the_interval_covers_the_truth_19_times_in_20():
    rng = np.random.default_rng(1)
    trials = [mean_interval(*map(np.ndarray.tolist, draw(rng, 25, 4))) for _ in range(1500)]
    covered = np.mean([trial.low <= 0.7 <= trial.high for trial in trials])
    assert 0.93 < covered < 0.975


def gain(changes, clips):
    """paired_gain of items that changed by -1, 0 or 1."""
    ids = [str(i) for i in range(len(changes))]
    before = {item: float(change < 0) for item, change in zip(ids, changes, strict=True)}
    after = {item: float(change > 0) for item, change in zip(ids, changes, strict=True)}
    return paired_gain(before, after, dict(zip(ids, clips, strict=True)))


def test_the_bootstrap_is_that_of_every_way_to_draw_the_clips():
    # Clips a: 1 1, b: -1 0 0, c: 0 1, d: 1, e: 0; mean 1/3.
    estimate = gain([1, 1, -1, 0, 0, 0, 1, 1, 0], "aabbbccde")
    sums, sizes = [2, -1, 1, 1, 0], [2, 3, 2, 1, 1]
    residuals = [s - m / 3 for s, m in zip(sums, sizes, strict=True)]
    robust = 5 / 4 * sum(r * r for r in residuals) / 81
    simple = (4 * (2 / 3) ** 2 + 4 * (1 / 3) ** 2 + (4 / 3) ** 2) / 8 / 9
    item = robust / simple
    assert 1 < item < 9 / 5  # between one item and a mean clip
    sums, sizes = [*sums, item / 2, -item / 2], [*sizes, item, item]
    drawn = np.array(list(itertools.product(range(7), repeat=7)))  # all 823,543, equally likely
    means = np.array(sums)[drawn].sum(1) / np.array(sizes)[drawn].sum(1)
    middle = 3 / (9 + 2 * item)
    stretch = student.ppf(0.975, 4) / norm.ppf(0.975) * (5 / 4) ** 0.5
    low, high = middle + stretch * (np.quantile(means, [0.025, 0.975]) - middle)
    assert low > -1
    assert (estimate.low, estimate.high) == pytest.approx((low, min(1, high)), abs=0.02)
    assert (estimate.mean, estimate.n, estimate.clusters) == (pytest.approx(1 / 3), 9, 5)


def test_with_many_clips_the_bootstrap_is_nearly_the_paired_t_interval():
    rng = np.random.default_rng(2)
    x, y = rng.random(200), rng.random(200)
    ids = [str(i) for i in range(200)]
    estimate = paired_gain(dict(zip(ids, x, strict=True)), dict(zip(ids, y, strict=True)), {item: item for item in ids})
    half = student.ppf(0.975, 199) * (y - x).std(ddof=1) / 200**0.5
    assert (estimate.low, estimate.high) == pytest.approx(((y - x).mean() - half, (y - x).mean() + half), abs=half / 20)


def test_the_order_of_items_and_the_names_of_clips_change_nothing():
    changes, clips = [1, 0, 0, -1, 1, 1, 0], "aabbccd"
    estimate, others = gain(changes, clips), (gain(changes[::-1], clips[::-1]), gain(changes, "zzyyxxw"))
    for other in others:
        assert (other.low, other.high) == pytest.approx((estimate.low, estimate.high))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.integers(0, 6)), min_size=1, max_size=25))
def test_no_interval_of_a_gain_is_without_width_or_without_its_mean(items):
    estimate = gain(*zip(*items, strict=True))
    assert -1 <= estimate.low <= estimate.mean <= estimate.high <= 1
    assert estimate.high - estimate.low > 0.02


@pytest.mark.parametrize("n", [11, 200, 1000])
def test_a_few_changes_in_one_direction_are_no_gain_yet_and_eight_are(n):
    few, more = (gain([1] * changed + [0] * (n - changed), range(n)) for changed in (3, 8))
    assert few.low <= 0 < more.low


@pytest.mark.parametrize("kind", KINDS[1:2], ids=str)
def test_intervals_hold_the_truth_19_times_in_20(kind):
    """A quick suite can afford a few sets; `make proofs` draws 2,000 of each kind."""
    sets = list(simulate(kind, 120, seed=1))
    assert min(len(drawn.clips) for drawn in sets) >= 200
    assert 0.90 <= share_holding([gain_of(drawn) for drawn in sets], kind.gain) <= 0.99
    assert 0.90 <= share_holding([mean_of(drawn) for drawn in sets], kind.accuracy + kind.gain) <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_intervals_hold_the_truth_in_93_to_97_percent_of_2000_sets(kind):
    sets = list(simulate(kind, 2000, seed=0))
    assert kind.clips >= 60
    assert min(len(drawn.clips) for drawn in sets) >= 200
    assert 0.3 <= kind.accuracy <= kind.accuracy + max(kind.gain, 0) <= 0.9 + 1e-9
    assert 0.93 <= share_holding([gain_of(drawn) for drawn in sets], kind.gain) <= 0.97
    assert 0.93 <= share_holding([mean_of(drawn) for drawn in sets], kind.accuracy + kind.gain) <= 0.97


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (0, 1), (5, 0), (6, 0), (3, 3), (10, 2), (40, 61), (500, 430)])
def test_mcnemar_is_scipys_exact_binomial_test(gained, lost):
    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert mcnemar(gained, lost) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(lost, gained) == mcnemar(gained, lost)


def test_a_gain_seen_nowhere_or_everywhere_still_has_a_width():
    ids = [str(i) for i in range(10)]
    same = paired_gain(dict.fromkeys(ids, 1.0), dict.fromkeys(ids, 1.0), {item: item for item in ids})
    unseen = binomtest(0, 10).proportion_ci(method="wilson").high
    assert (same.mean, same.low, same.high) == pytest.approx((0, -unseen, unseen))
    won = paired_gain(dict.fromkeys(ids, 0.0), dict.fromkeys(ids, 1.0), {item: item for item in ids})
    assert (won.mean, won.low, won.high) == pytest.approx((1, 1 - 2 * unseen, 1))
    alone = paired_gain({"a": 0.0}, {"a": 1.0}, {"a": 0})
    assert (alone.low, alone.high) == (-1, 1)


def test_pairs_must_hold_the_same_items():
    with pytest.raises(ValueError, match="'c' is missing in `before`"):
        paired_gain({"a": 1}, {"a": 1, "c": 0, "d": 1}, {"a": 0, "c": 0, "d": 0})
    with pytest.raises(ValueError, match="'b' is missing in `after`"):
        paired_gain({"a": 1, "b": 1}, {"a": 1}, {"a": 0, "b": 0})
    with pytest.raises(ValueError, match="'b' is missing in `clusters`"):
        paired_gain({"a": 1, "b": 1}, {"b": 1, "a": 1}, {"a": 0})


@pytest.mark.parametrize(
    ("values", "clusters", "message"),
    [
        ([], [], "no items"),
        ([1.0], ["a", "b"], "1 values and 2 clusters"),
        ([1.5], [0], "in"),
        ([float("nan")], [0], "in"),
    ],
)
def test_what_has_no_mean_is_an_error(values, clusters, message):
    with pytest.raises(ValueError, match=message):
        mean_interval(values, clusters)


def test_chance_is_the_mean_of_one_over_the_number_of_choices():
    assert chance([2, 4, 4, 8]) == pytest.approx((0.5 + 0.25 + 0.25 + 0.125) / 4)
    for bad in ([], [4, 0]):
        with pytest.raises(ValueError, match="one or more"):
            chance(bad)


def test_statistics_do_not_import_torch():
    code = "import sys, harken.stats; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
