"""Mean and spread of a comparison over several seeds of one recipe.

One comparison for each seed goes in; one row for each group of questions comes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from harken.errors import DataError
from harken.results.compare import Comparison


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over several seeds: mean, unbiased standard deviation, smallest and largest value."""

    mean: float
    sd: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SeedComparison:
    """One group of questions over several seeds of one recipe.

    Attributes:
        n: number of questions, the same for every seed.
        seeds: number of seeds.
        lowest_bound: the smallest lower 95 % bound of any seed's paired gain.
    """

    group: str
    n: int
    seeds: int
    before: Spread
    after: Spread
    gain: Spread
    lowest_bound: float


def over_seeds(comparisons: Sequence[Sequence[Comparison]]) -> list[SeedComparison]:
    """Combine the comparisons of several seeds, each from `compare`, group by group.

    Raises DataError for fewer than two seeds, and where the seeds were evaluated on different questions.
    """
    if len(comparisons) < 2:
        raise DataError(f"a spread needs two seeds or more, found {len(comparisons)}")
    if len({tuple((group.group, group.gain.n) for group in comparison) for comparison in comparisons}) > 1:
        raise DataError("the seeds were evaluated on different questions")
    return [
        SeedComparison(
            same_group[0].group,
            same_group[0].gain.n,
            len(same_group),
            before=_spread([seed.before.mean for seed in same_group]),
            after=_spread([seed.after.mean for seed in same_group]),
            gain=_spread([seed.gain.mean for seed in same_group]),
            lowest_bound=min(seed.gain.low for seed in same_group),
        )
        for same_group in zip(*comparisons, strict=True)
    ]


def _spread(values: Sequence[float]) -> Spread:
    return Spread(mean(values), stdev(values), min(values), max(values))
