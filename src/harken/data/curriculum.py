"""Orders questions from easy to hard by how often a model already answers them right.

The pass rates are measured before (`harken evaluate --samples`). Questions that are always or never right are removed,
because GRPO learns nothing from them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from harken.data.records import read_records
from harken.errors import DataError, short_repr
from harken.types import Question


def read_pass_rates(path: Path) -> dict[str, float]:
    """id -> pass rate in [0, 1]; further keys are ignored.

    Raises DataError with the file and line of a record that has no such rate.
    """
    records, rejected = read_records(path)
    if rejected:
        raise DataError(f"{path}:{rejected[0].line}: {rejected[0].reason}")
    rates: dict[str, float] = {}
    for line, _, record in records:
        name, rate = record.get("id"), record.get("pass_rate")
        if not isinstance(name, str) or name in rates:
            raise DataError(f"{path}:{line}: id: expected text that no earlier line has, found {short_repr(name)}")
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise DataError(f"{path}:{line}: pass_rate: expected a number from 0 to 1, found {short_repr(rate)}")
        rates[name] = float(rate)
    return rates


def easy_to_hard(
    questions: Sequence[Question], rates: Mapping[str, float], path: Path
) -> tuple[list[Question], list[Question]]:
    """(questions from the highest pass rate to the lowest, removed questions that are always or never right).

    Questions with equal rates keep their order. Raises DataError where a question has no rate in `path`, or where no
    question is left.
    """
    missing = [question for question in questions if question.id not in rates]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(questions)} questions have no pass rate, the first is "
            f"{short_repr(missing[0].id)} ({missing[0].source}): measure all of data.train"
        )
    kept = [question for question in questions if 0 < rates[question.id] < 1]
    if not kept:
        raise DataError(f"{path}: every question is always or never right: there is nothing to learn from")
    dropped = [question for question in questions if not 0 < rates[question.id] < 1]
    return sorted(kept, key=lambda question: -rates[question.id]), dropped
