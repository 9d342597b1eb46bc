"""The order in which training sees questions, as a pure function of the step.

Takes sizes, a step and, for a shuffled order, a seed, gives the questions of that step. There is no iterator and so no
state to save: a resumed run asks for its next step and gets what an uninterrupted one would have had. Not taken:
dropping the last, smaller batch of an epoch; batches run on into the next one, so that every question is seen equally
often.
"""

import numpy as np


def batch_at(n_questions: int, batch_size: int, step: int, seed: int) -> list[int]:
    """Indices of the questions of a step (counted from 0), `batch_size` of them.

    Every epoch is its own permutation of all questions, drawn from (seed, epoch): none repeats within an epoch, and
    each comes once before any comes twice.

    Example:
        >>> sorted(batch_at(4, 2, 0, seed=7) + batch_at(4, 2, 1, seed=7))
        [0, 1, 2, 3]
    """
    if n_questions < 1 or batch_size < 1 or step < 0:
        raise ValueError(f"no batch of {batch_size} at step {step} from {n_questions} questions")
    batch: list[int] = []
    position = step * batch_size
    while len(batch) < batch_size:
        epoch, start = divmod(position, n_questions)
        part = _permutation(n_questions, seed, epoch)[start : start + batch_size - len(batch)]
        batch += part
        position += len(part)
    return batch


def climb_at(n_questions: int, batch_size: int, step: int, steps: int) -> list[int]:
    """Indices of a step (counted from 0) of a run that goes once through its questions in their order.

    A run that is shorter than the list takes an even sample of it, first to last; a longer one goes through it again
    from the start.

    Example:
        >>> [climb_at(8, 2, step, 2) for step in range(2)]
        [[0, 2], [4, 6]]
    """
    if n_questions < 1 or batch_size < 1 or not 0 <= step < steps:
        raise ValueError(f"no batch of {batch_size} at step {step} of {steps} from {n_questions} questions")
    total = steps * batch_size
    places = range(step * batch_size, (step + 1) * batch_size)
    return [place * n_questions // total if total < n_questions else place % n_questions for place in places]


def _permutation(n: int, seed: int, epoch: int) -> list[int]:
    # Philox's raw words are the same in every numpy version; Generator.permutation promises no such thing.
    keys = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64)).random_raw(n)
    return np.argsort(keys, kind="stable").tolist()
