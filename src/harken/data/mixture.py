"""The order of questions of several files that are mixed by weight, as a pure function of the step.

Each file has a timetable: its sample j is due at (j + offset) / share. The samples of all files, in the order in which
they are due, are the samples of the run, so a file's share is kept from the first step on and not only on average.
Within a file every question comes once before any comes twice, in an order of the file's own.
"""

import hashlib
import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np


def mixed_batch(
    sizes: Sequence[int], weights: Sequence[float], batch_size: int, step: int, seed: int
) -> list[tuple[int, int]]:
    """[batch_size] (file, index of a question in it) of the questions of a step, counted from 0.

    Of the first n samples of a run each file has its share of n, give or take fewer than there are files. Times are
    fractions, so that rounding never moves a sample from one step to another.

    Args:
        sizes: number of questions of each file.
        weights: of each file, above 0; their sum may be anything.
        seed: below 2**64.

    Example:
        >>> [file for file, _ in mixed_batch([100, 3], [3, 1], 8, 0, seed=0)].count(1)
        2
    """
    if min(sizes, default=0) < 1 or batch_size < 1 or step < 0:
        raise ValueError(f"no batch of {batch_size} at step {step} from files of {list(sizes)} questions")
    total = sum(map(Fraction, weights))
    shares = [Fraction(weight) / total for weight in weights]
    offsets = [Fraction(hashed_number(f"offset,{seed},{file}"), 2**64) for file in range(len(sizes))]
    first, files = step * batch_size, len(sizes)
    start = max(0, first - files)  # at this time no more samples than `first` were due, for any offsets
    done = [max(0, math.ceil(share * start - offset)) for share, offset in zip(shares, offsets, strict=True)]
    due: list[tuple[Fraction, int, int]] = []
    for file, (share, offset) in enumerate(zip(shares, offsets, strict=True)):
        last = math.ceil(share * (first + batch_size + files) - offset)
        due += [((j + offset) / share, file, j) for j in range(done[file], last)]
    skipped = first - sum(done)
    samples = [(file, j) for _, file, j in sorted(due)[skipped : skipped + batch_size]]
    return _questions(samples, sizes, seed)


def _questions(samples: Sequence[tuple[int, int]], sizes: Sequence[int], seed: int) -> list[tuple[int, int]]:
    """(file, index of the question) of each (file, number of the sample in it)."""
    chosen = []
    for file, j in samples:
        epoch, place = divmod(j, sizes[file])
        key = hashed_number(f"order,{seed},{file},{epoch}", 16)
        chosen.append((file, int(permutation(sizes[file], key)[place])))
    return chosen


@lru_cache(maxsize=16)
def permutation(n: int, key: int) -> np.ndarray:
    """[n] int64: a permutation that follows from a key below 2**128. The latest are kept: the steps of an epoch share
    one, so it must not be changed.

    It comes from Philox's raw words, which are the same in every version of numpy, as Generator.permutation's are not.
    """
    return np.argsort(np.random.Philox(key=key).random_raw(n), kind="stable")


def hashed_number(name: str, n_bytes: int = 8) -> int:
    """The number of so many bytes that a name stands for."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=n_bytes).digest(), "little")
