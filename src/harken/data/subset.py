"""Which questions of a file an evaluation asks: those with certain labels, and of these the first few.

The questions keep the order of their file. `limit` is for trying things out: the figures of a part are not the figures
of the benchmark.
"""

from collections.abc import Mapping, Sequence

from harken.errors import DataError, short_repr
from harken.types import Question


def select_questions(
    questions: Sequence[Question], subset: Mapping[str, Sequence[str]], limit: int | None
) -> list[Question]:
    """The questions that have one of the values for every key of `subset` with values, at most `limit` of them.

    Raises DataError, which lists the values that the questions have, where no question is left.
    """
    chosen = list(questions)
    for key, values in subset.items():
        if not values:
            continue
        labels = {getattr(question, key): None for question in chosen}
        chosen = [question for question in chosen if getattr(question, key) in values]
        if not chosen and labels:
            wanted, known = " or ".join(map(short_repr, values)), ", ".join(map(short_repr, labels))
            raise DataError(f"subset: no question has {key} {wanted}; the values of {key} are {known}")
    return chosen[:limit]
