"""Computes means and paired gains with 95 % intervals, which every table of harken shows.

Questions about one clip are not independent, so every interval is clustered by clip; no interval has zero width.
docs/statistics.md explains the choice of intervals and how often they hold the truth. This module needs only numpy and
scipy, so that reports never import torch.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtri, stdtrit

_TAIL = 0.975
_RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over `n` items on `clusters` clips, with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int
    clusters: int


def mean_interval(values: Sequence[float], clusters: Sequence[Hashable]) -> Estimate:
    """Mean of values in [0, 1], with Wilson's interval at the effective sample size n_eff.

    n_eff = n / deff x (t(n - 1) / t(C - 1))^2, and at most n. C is the number of clusters, and deff is the design
    effect: the cluster-robust variance of the mean, divided by p (1 - p) / (n - 1). The t quantiles are those of Korn
    and Graubard 1998. With one 0/1 item per cluster this is Wilson's interval at n. Where the clusters show no
    variance, as when all items are right or all are wrong, n_eff is C.

    Args:
        values: [n], such as 1 for correct and 0 for wrong.
        clusters: [n] clip of each item.

    Raises ValueError for no items, for differing lengths and for a value outside [0, 1].
    """
    x, members, count = _clustered(values, clusters)
    if not ((x >= 0) & (x <= 1)).all():
        raise ValueError("mean_interval: values must lie in [0, 1]")
    n, p = len(x), float(x.mean())
    simple = p * (1 - p) / max(n - 1, 1)
    robust = _variance_of_mean(x, members, count)
    if robust <= 1e-12 * simple or robust == 0:
        effective = float(count)
    else:
        effective = min(float(n), n * simple / robust * float(stdtrit(n - 1, _TAIL) / stdtrit(count - 1, _TAIL)) ** 2)
    low, high = _wilson(p, effective)
    return Estimate(p, low, high, n, count)


def ratio_interval(
    numerators: Sequence[float], denominators: Sequence[float], clusters: Sequence[Hashable]
) -> Estimate:
    """Sum of numerators / sum of denominators, such as errors / words, at least 0.

    The interval is that of the ratio's linearisation (Cochran 1977, 6.3) with the cluster-robust variance and the t
    quantile of C - 1 clusters; with fewer than two clusters, or no variance, it reaches from 0 to twice the ratio, at
    least to the one error more.

    Args:
        numerators, denominators: [n] of each item; denominators are above 0.
        clusters: [n] clip of each item.

    Raises ValueError for no items, for differing lengths and for a denominator that is not above 0.
    """
    x, members, count = _clustered(numerators, clusters)
    y = np.asarray(denominators, dtype=np.float64)
    if len(y) != len(x) or not (y > 0).all():
        raise ValueError("ratio_interval: every item needs a denominator above 0")
    ratio = float(x.sum() / y.sum())
    variance = _variance_of_mean((x - ratio * y) / y.mean(), members, count) if count > 1 else 0.0
    half = float(stdtrit(count - 1, _TAIL)) * variance**0.5 if variance > 0 else max(ratio, 1.0 / float(y.sum()))
    return Estimate(ratio, max(0.0, ratio - half), ratio + half, len(x), count)


def mean_of_means(means: Sequence[Estimate]) -> Estimate:
    """Unweighted mean of independent means, such as the accuracies of several tasks.

    The distance from the mean to a bound is the root of the sum of the squared distances of the single means to their
    bounds, divided by the number of means (Zou and Donner 2008, "square and add").

    Raises ValueError for no means.
    """
    if not means:
        raise ValueError("mean_of_means: needs one or more means")
    count = len(means)
    mean = sum(part.mean for part in means) / count
    below = sum((part.mean - part.low) ** 2 for part in means) ** 0.5 / count
    above = sum((part.high - part.mean) ** 2 for part in means) ** 0.5 / count
    return Estimate(
        mean,
        max(0.0, mean - below),
        min(1.0, mean + above),
        sum(part.n for part in means),
        sum(part.clusters for part in means),
    )


def paired_gain(before: Mapping[str, float], after: Mapping[str, float], clusters: Mapping[str, Hashable]) -> Estimate:
    """Mean of after - before on the same items, with an interval from a bootstrap over clips, within [-1, 1].

    The C clips are drawn 10,000 times with replacement, always from the same seed. The interval reaches from the 2.5 %
    to the 97.5 % quantile of the means of the draws, with two corrections:

    - Two items are added, one that gains 1/2 and one that loses 1/2 (Agresti and Min 2005), because a few changes in
      one direction do not show that no others are possible. An added item weighs as much as one independent item (the
      design effect), and at most as much as a mean clip.
    - The distances of the quantiles from the middle are stretched by t(C - 1) / z sqrt(C / (C - 1)), because a
      bootstrap over C clips is too narrow by this factor.

    Where every clip changed by the same amount, for example by nothing, the draws do not differ. Then the width comes
    from Wilson's upper bound on the share of clips that would change otherwise, when none of C clips did.

    Args:
        before, after: value in [0, 1] by item id.
        clusters: clip by item id; it may hold more items.

    Raises ValueError for no items, and for an item that one of the mappings lacks; the message names the first one.
    """
    for name, values, other in (("before", before, after), ("after", after, before)):
        missing = next((item for item in other if item not in values), None)
        if missing is not None:
            raise ValueError(
                f"paired_gain: item {missing!r} is missing in `{name}`: both sides must hold the same items"
            )
    unplaced = next((item for item in before if item not in clusters), None)
    if unplaced is not None:
        raise ValueError(f"paired_gain: item {unplaced!r} is missing in `clusters`")
    x, members, count = _clustered([after[item] - before[item] for item in before], [clusters[item] for item in before])
    mean = float(x.mean())
    variance = _variance_of_mean(x, members, count)
    if count < 2:
        low, high = -1.0, 1.0
    elif variance <= 1e-24:
        half = (1 + abs(mean)) * _wilson(0.0, count)[1]
        low, high = mean - half, mean + half
    else:
        low, high = _bootstrap(x, members, count, variance)
    return Estimate(mean, max(-1.0, low), min(1.0, high), len(x), count)


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided p value of McNemar's exact test.

    It is the chance that a fair coin divides the changed items at least as unequally as into `gained` and `lost`. The
    test takes all items as independent, which the interval of `paired_gain` does not.
    """
    return min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5)))


def chance(choice_counts: Sequence[int]) -> float:
    """Expected accuracy of guessing: the mean over items of 1 / number of choices.

    Raises ValueError for no items, and for an item without choices.
    """
    if not choice_counts or min(choice_counts) < 1:
        raise ValueError("chance: needs one or more items with one or more choices each")
    return float(np.mean([1 / count for count in choice_counts]))


def _clustered(
    values: Sequence[float], clusters: Sequence[Hashable]
) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """Values, the cluster number of each, and the number of clusters."""
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values and {len(clusters)} clusters: one cluster per value")
    if len(values) == 0:
        raise ValueError("no items: a mean needs one or more")
    numbers: dict[Hashable, int] = {}
    members = np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters], dtype=np.int64)
    return np.asarray(values, dtype=np.float64), members, len(numbers)


def _bootstrap(x: NDArray[np.float64], members: NDArray[np.int64], count: int, variance: float) -> tuple[float, float]:
    """Interval of the mean of the differences x; see `paired_gain`. `variance` is cluster-robust and not 0."""
    n = len(x)
    item = min(max(1.0, variance / (float(x.var(ddof=1)) / n)), n / count)
    sums = np.append(np.bincount(members, weights=x, minlength=count), [item / 2, -item / 2])
    sizes = np.append(np.bincount(members, minlength=count), [item, item])
    # Clips of equal sum and size are interchangeable, so a draw only counts how many clips of each kind it holds.
    kinds, counts = np.unique(np.stack([sums, sizes]), axis=1, return_counts=True)
    drawn = np.random.default_rng(0).multinomial(count + 2, counts / (count + 2), size=_RESAMPLES)
    means = (drawn @ kinds[0]) / (drawn @ kinds[1])
    middle = sums.sum() / sizes.sum()
    stretch = float(stdtrit(count - 1, _TAIL) / ndtri(_TAIL)) * (count / (count - 1)) ** 0.5
    low, high = middle + stretch * (np.quantile(means, [1 - _TAIL, _TAIL]) - middle)
    return float(low), float(high)


def _variance_of_mean(x: NDArray[np.float64], members: NDArray[np.int64], count: int) -> float:
    """Cluster-robust variance of the mean: C / (C - 1) sum_c (sum of residuals in c)^2 / n^2; 0 for one cluster."""
    if count < 2:
        return 0.0
    sums = np.bincount(members, weights=x - x.mean(), minlength=count)
    return float(count / (count - 1) * (sums**2).sum() / len(x) ** 2)


def _wilson(p: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share p of n trials; n need not be whole."""
    z2 = float(ndtri(_TAIL)) ** 2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = (z2 * (p * (1 - p) / n + z2 / (4 * n * n))) ** 0.5 / (1 + z2 / n)
    low = 0.0 if p == 0 else max(0.0, centre - half)
    high = 1.0 if p == 1 else min(1.0, centre + half)
    return low, high
