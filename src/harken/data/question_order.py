"""The order in which training sees questions, as a pure function of the step.

There is no iterator whose state has to be saved: a resumed run asks for its next step and gets the same batch as an
uninterrupted run. The last batch of an epoch is filled from the next epoch, so every question is seen equally often.
"""

import numpy as np


def shuffled_batch(n_questions: int, batch_size: int, step: int, seed: int) -> list[int]:
    """[batch_size] indices of the questions of a step, counted from 0.

    Every epoch is its own permutation of all questions, drawn from (seed, epoch), so each question comes once before
    any comes twice.

    Example:
        >>> sorted(shuffled_batch(4, 2, 0, seed=7) + shuffled_batch(4, 2, 1, seed=7))
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


def ordered_batch(n_questions: int, batch_size: int, step: int, steps: int) -> list[int]:
    """[batch_size] indices of the questions of a step, counted from 0, where a run goes through them in their order.

    A run that is too short for all questions takes an even sample of them, first to last; a longer one begins again
    from the start.

    Example:
        >>> [ordered_batch(8, 2, step, 2) for step in range(2)]
        [[0, 2], [4, 6]]
    """
    if n_questions < 1 or batch_size < 1 or not 0 <= step < steps:
        raise ValueError(f"no batch of {batch_size} at step {step} of {steps} from {n_questions} questions")
    total = steps * batch_size
    places = range(step * batch_size, (step + 1) * batch_size)
    return [place * n_questions // total if total < n_questions else place % n_questions for place in places]


def _permutation(n: int, seed: int, epoch: int) -> list[int]:
    # Philox's raw words are the same in every numpy version, which Generator.permutation does not promise.
    keys = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64)).random_raw(n)
    return np.argsort(keys, kind="stable").tolist()
