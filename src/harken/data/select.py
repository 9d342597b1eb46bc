"""Which questions of a file are asked: a subset by labels, then the first so many.

Takes questions in the order of their file, gives some of them in the same order. Not taken: a random part; `limit` is
for trying things out, and figures of a part are figures of another benchmark.
"""

from collections.abc import Mapping, Sequence

from harken.errors import DataError, short_repr
from harken.types import Question


def select(questions: Sequence[Question], subset: Mapping[str, Sequence[str]], limit: int | None) -> list[Question]:
    """Questions that have one of the values under every key of `subset` that has any, at most `limit` of them.

    Raises DataError where no question is left, naming the values that there are.
    """
    chosen = list(questions)
    for key, values in subset.items():
        if not values:
            continue
        there = {getattr(question, key): None for question in chosen}
        chosen = [question for question in chosen if getattr(question, key) in values]
        if not chosen and there:
            wanted, known = " or ".join(map(short_repr, values)), ", ".join(map(short_repr, there))
            raise DataError(f"subset: no question has {key} {wanted}; there is {known}")
    return chosen[:limit]
