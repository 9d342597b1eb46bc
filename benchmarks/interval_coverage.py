"""How often 95 % intervals hold the true value, on simulated sets of questions with several questions a clip.

For each kind of set the program prints the share of intervals that hold the true accuracy or gain, and their mean
width:
    mean       mean_interval of the later accuracy          gain       paired_gain, the bootstrap that `compare` shows
    t          cluster-robust t interval of the gain        percentile the bootstrap without corrections
The last two are for comparison only.

    python benchmarks/interval_coverage.py --sets 2000
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta
from scipy.stats import t as student

from harken.stats import mean_interval, paired_gain

Interval = tuple[float, float]


@dataclass(frozen=True)
class Kind:
    """A kind of set.

    Attributes:
        questions: mean number of questions a clip (Poisson, at least 1).
        accuracy: the true accuracy before.
        gain: the true gain.
        concentration: of the Beta distribution of difficulty over clips; larger means less spread.
        same: the share of questions that are answered by the same draw before and after, and so change only where the
            clip's difficulty changes.
    """

    clips: int
    questions: float
    accuracy: float
    gain: float
    concentration: float = 3
    same: float = 0.5


KINDS = (
    Kind(60, 4.2, 0.3, 0.05),
    Kind(60, 4.2, 0.6, 0.10),
    Kind(60, 4.2, 0.86, 0.04, same=0.8),
    Kind(60, 20, 0.6, 0.10),
    Kind(120, 2, 0.85, 0.00, concentration=10, same=0.9),
    Kind(250, 1, 0.6, 0.05, same=0.7),
    Kind(250, 1, 0.88, 0.02, concentration=5, same=0.9),
    Kind(200, 1, 0.3, -0.05),
)
FEW_CLIPS = (Kind(25, 4, 0.6, 0.10), Kind(11, 1, 0.5, 0.10), Kind(6, 14, 0.5, 0.10))


@dataclass(frozen=True)
class QuestionSet:
    """One simulated set: whether each question is right before and after, and its clip; all [n]."""

    before: NDArray[np.float64]
    after: NDArray[np.float64]
    clips: NDArray[np.int64]


def simulate(kind: Kind, sets: int, seed: int) -> Iterator[QuestionSet]:
    """Clips keep their rank of difficulty, and the number of questions on a clip does not depend on it."""
    rng = np.random.default_rng(seed)
    for _ in range(sets):
        rank = rng.random(kind.clips)
        before, after = (
            beta.ppf(rank, kind.concentration * mean, kind.concentration * (1 - mean))
            for mean in (kind.accuracy, kind.accuracy + kind.gain)
        )
        clips = np.repeat(np.arange(kind.clips), 1 + rng.poisson(kind.questions - 1, kind.clips))
        draws = rng.random(len(clips))
        later = np.where(rng.random(len(clips)) < kind.same, draws, rng.random(len(clips)))
        yield QuestionSet((draws < before[clips]) * 1.0, (later < after[clips]) * 1.0, clips)


def mean_of(questions: QuestionSet) -> Interval:
    interval = mean_interval(questions.after.tolist(), questions.clips.tolist())
    return interval.low, interval.high


def gain_of(questions: QuestionSet) -> Interval:
    columns = (questions.before, questions.after, questions.clips)
    before, after, clips = (dict(enumerate(values.tolist())) for values in columns)  # numbers serve as ids
    interval = paired_gain(before, after, clips)
    return interval.low, interval.high


def t_of(questions: QuestionSet) -> Interval:
    difference, count = questions.after - questions.before, questions.clips[-1] + 1
    sums = np.bincount(questions.clips, weights=difference - difference.mean())
    error = (count / (count - 1) * (sums**2).sum()) ** 0.5 / len(difference)
    half = float(student.ppf(0.975, count - 1) * error)
    return float(difference.mean() - half), float(difference.mean() + half)


def percentile_of(questions: QuestionSet) -> Interval:
    sums, sizes = np.bincount(questions.clips, weights=questions.after - questions.before), np.bincount(questions.clips)
    drawn = np.random.default_rng(0).integers(0, len(sums), (2000, len(sums)))
    low, high = np.quantile(sums[drawn].sum(1) / sizes[drawn].sum(1), [0.025, 0.975])
    return float(low), float(high)


def share_holding(intervals: list[Interval], truth: float) -> float:
    return sum(low <= truth <= high for low, high in intervals) / len(intervals)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    methods = {"mean": mean_of, "gain": gain_of, "t": t_of, "percentile": percentile_of}
    print("| clips | questions | accuracy, % | gain | " + " | ".join(f"{name}, % (width)" for name in methods) + " |")
    print("| " + " | ".join(["---:"] * (4 + len(methods))) + " |")
    for kind in (*KINDS, *FEW_CLIPS):
        sets = list(simulate(kind, options.sets, options.seed))
        cells = []
        for name, method in methods.items():
            intervals = [method(questions) for questions in sets]
            held = share_holding(intervals, kind.accuracy + kind.gain if name == "mean" else kind.gain)
            width = np.mean([high - low for low, high in intervals])
            cells.append(f"{100 * held:.1f} ({100 * width:.1f})")
        n_questions = round(np.mean([len(questions.clips) for questions in sets]))
        row = [str(kind.clips), str(n_questions), f"{100 * kind.accuracy:.0f}", f"{100 * kind.gain:+.0f}", *cells]
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
