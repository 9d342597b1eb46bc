"""Intervals: equal to known forms where these exist, to simulation where they do not."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import binomtest
from scipy.stats import t as student

from harken.stats import chance, mean_interval, paired_gain


@pytest.mark.parametrize(("right", "n"), [(0, 7), (7, 7), (1, 7), (53, 100), (640, 1000), (1, 2), (1, 1)])
def test_with_one_item_per_clip_it_is_wilsons_interval(right, n):
    found = mean_interval([1.0] * right + [0.0] * (n - right), range(n))
    wilson = binomtest(right, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high), abs=1e-9)
    assert (found.mean, found.n, found.clusters) == (right / n, n, n)


def test_clustered_by_hand():
    # Clips a: 1 1, b: 0 0, c: 1 0, d: 1 1. p = 5/8; residual sums 3/4, -5/4, -1/4, 3/4.
    found = mean_interval([1, 1, 0, 0, 1, 0, 1, 1], list("aabbccdd"))
    robust = 4 / 3 * (9 + 25 + 1 + 9) / 16 / 64
    simple = 5 / 8 * 3 / 8 / 7
    n = 8 * simple / robust * (student.ppf(0.975, 7) / student.ppf(0.975, 3)) ** 2
    z = 1.959963984540054
    centre, half = 5 / 8 + z * z / (2 * n), z * (15 / 64 / n + z * z / (4 * n * n)) ** 0.5
    assert (found.low, found.high) == pytest.approx(
        ((centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n))
    )
    assert (found.n, found.clusters) == (8, 4)


def test_identical_questions_on_a_clip_count_once():
    # Every item three times: the design effect is nearly 3, so the interval is that of the clips, a little wider.
    clips = [1.0] * 30 + [0.0] * 20
    tripled = mean_interval(clips * 3, list(range(50)) * 3)
    single = mean_interval(clips, range(50))
    assert tripled.high - tripled.low == pytest.approx(single.high - single.low, rel=0.03)
    assert tripled.high - tripled.low > 1.5 * (mean_interval(clips * 3, range(150)).high - 0.6)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_right_or_all_wrong_has_the_width_of_the_number_of_clips(value):
    found = mean_interval([value] * 12, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])
    wilson = binomtest(int(value) * 4, 4).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high))


def test_balanced_clips_never_make_the_interval_narrower_than_independent_items():
    # Every clip one right and one wrong, but for the last: clips hardly differ.
    found = mean_interval([1, 0] * 20 + [1, 1], [i // 2 for i in range(42)])
    wilson = binomtest(22, 42).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high), abs=1e-9)


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
    found = mean_interval(values.tolist(), clusters.tolist())
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.012)


def test_the_interval_covers_the_truth_19_times_in_20():
    rng = np.random.default_rng(1)
    trials = [mean_interval(*map(np.ndarray.tolist, draw(rng, 25, 4))) for _ in range(1500)]
    covered = np.mean([found.low <= 0.7 <= found.high for found in trials])
    assert 0.93 < covered < 0.975


def test_paired_gain_by_hand():
    before = {"a1": 0, "a2": 0, "b1": 1, "b2": 0, "c1": 1, "c2": 0}
    after = {"c2": 1, "c1": 1, "b2": 0, "b1": 0, "a2": 1, "a1": 1}
    found = paired_gain(before, after, {item: item[0] for item in before})
    # differences a: 1 1, b: -1 0, c: 0 1; mean 1/3; residual sums 4/3, -5/3, 1/3
    half = 4.302652729911275 * (3 / 2 * (16 + 25 + 1) / 9 / 36) ** 0.5
    assert found.mean == pytest.approx(1 / 3)
    assert found.low == pytest.approx(max(-1, 1 / 3 - half))
    assert found.high == pytest.approx(min(1, 1 / 3 + half))
    assert (found.n, found.clusters) == (6, 3)


def test_paired_gain_with_one_item_per_clip_is_the_paired_t_interval():
    rng = np.random.default_rng(2)
    x, y = rng.random(40), rng.random(40)
    ids = [str(i) for i in range(40)]
    found = paired_gain(dict(zip(ids, x, strict=True)), dict(zip(ids, y, strict=True)), {item: item for item in ids})
    half = student.ppf(0.975, 39) * (y - x).std(ddof=1) / 40**0.5
    assert (found.low, found.high) == pytest.approx(((y - x).mean() - half, (y - x).mean() + half))


def test_paired_gain_covers_the_truth_19_times_in_20():
    rng = np.random.default_rng(3)
    ids = [str(i) for i in range(80)]
    clusters = {item: int(item) // 4 for item in ids}
    covered = 0
    for _ in range(1000):
        shift = np.repeat(rng.choice([-0.2, 0.1, 0.4], 20), 4)  # mean gain 0.1
        before = rng.random(80) < 0.4
        after = rng.random(80) < 0.4 + shift
        found = paired_gain(
            dict(zip(ids, before * 1.0, strict=True)), dict(zip(ids, after * 1.0, strict=True)), clusters
        )
        covered += found.low <= 0.1 <= found.high
    assert 920 < covered < 980


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
