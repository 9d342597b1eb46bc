"""The order in which training sees questions, as a pure function of the step.

There is no iterator whose state has to be saved: a resumed run asks for its next step and gets the same batch as an
uninterrupted run. The last batch of an epoch is filled from the next epoch, so every question is seen equally often.
`mixture.py` has the order of several files that are mixed by weight.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from harken.data.mixture import hashed_number, mixed_batch, permutation
from harken.types import Question


@dataclass(frozen=True, slots=True)
class QuestionOrder:
    """The order of a run's questions, by their indices.

    Attributes:
        n_questions: number of all questions.
        seed: of the run.
        easy_to_hard: the questions are in the order in which they are to be seen.
        sources, weights: the indices of the questions of each file, and the weight of each; both empty where the files
            are shuffled together.
    """

    n_questions: int
    seed: int
    easy_to_hard: bool = False
    sources: tuple[tuple[int, ...], ...] = ()
    weights: tuple[float, ...] = ()

    @classmethod
    def of(
        cls, questions: Sequence[Question], seed: int, *, easy_to_hard: bool, weights: Sequence[float | None]
    ) -> "QuestionOrder":
        """The order of these questions. `weights` are those of the files; None stands for no weight."""
        known = [weight for weight in weights if weight is not None]
        by_source: list[list[int]] = [[] for _ in known]
        if known:
            for index, question in enumerate(questions):
                by_source[question.source_number].append(index)
        return cls(len(questions), seed, easy_to_hard, tuple(map(tuple, by_source)), tuple(known))

    def batch(self, size: int, step: int, steps: int) -> list[int]:
        """[size] indices of the questions of a step, counted from 0, of `steps`."""
        if self.easy_to_hard:
            return ordered_batch(self.n_questions, size, step, steps)
        return self._drawn(size, step, self.seed)

    def replacements(self, size: int, step: int, taken: Collection[int]) -> list[int]:
        """At most `size` indices of questions that may stand in for others of a step, none of them in `taken`.

        They come from an order of the step's own, which depends on (seed, step) alone; so further questions of the step
        follow from the same arguments, with those that it has tried among `taken`. Fewer are left where the data are.
        """
        seed = hashed_number(f"replacements,{self.seed},{step}")
        free: list[int] = []
        seen = set(taken)
        window = size + len(seen)
        for draw in range(2 + self.n_questions // max(1, window)):
            for index in self._drawn(window, draw, seed):
                if index not in seen and len(free) < size:
                    seen.add(index)
                    free.append(index)
            if len(free) == size:
                break
        return free

    def _drawn(self, size: int, step: int, seed: int) -> list[int]:
        if not self.weights:
            return shuffled_batch(self.n_questions, size, step, seed)
        places = mixed_batch([len(source) for source in self.sources], self.weights, size, step, seed)
        return [self.sources[source][index] for source, index in places]


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
        part = permutation(n_questions, seed + (epoch << 64))[start : start + batch_size - len(batch)]
        batch += part.tolist()
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
