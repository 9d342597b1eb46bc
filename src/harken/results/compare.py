"""Compares two evaluations of the same questions, before and after training, pair by pair.

Evaluations of different questions are refused: a gain over the questions that both happen to contain would mislead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harken.errors import DataError
from harken.results.evaluation_rows import Row, group_rows, read_evaluation_rows
from harken.results.summary import accuracy
from harken.stats import Estimate, chance, mcnemar, paired_gain


@dataclass(frozen=True, slots=True)
class Comparison:
    """One group of questions before and after training.

    Attributes:
        gain: after - before, paired by question.
        gained, lost: how many questions became right, and how many became wrong.
        p: p value of McNemar's exact test of `gained` and `lost`.
    """

    group: str
    before: Estimate
    after: Estimate
    gain: Estimate
    gained: int
    lost: int
    p: float


def compare(before: Sequence[Row], after: Sequence[Row], *, whole_only: bool = False) -> list[Comparison]:
    """Pair two evaluations of the same questions; one comparison for each group.

    Args:
        whole_only: only the group "all".

    Raises DataError where only one of them contains a question, where a question appears twice or has another text,
    other choices or another answer, and where answers are hidden.
    """
    if any(row["correct"] is None for rows in (before, after) for row in rows):
        raise DataError("the benchmark hides its answers, so there is nothing to compare")
    after_by_id = _pair_by_id(before, after)
    comparisons = []
    groups = {"all": list(before)} if whole_only else group_rows(before)
    for name, earlier in groups.items():
        later = [after_by_id[row["id"]] for row in earlier]
        gain = paired_gain(_correct_by_id(earlier), _correct_by_id(later), {row["id"]: row["clip"] for row in earlier})
        changes = [int(new["correct"]) - int(old["correct"]) for old, new in zip(earlier, later, strict=True)]
        gained, lost = changes.count(1), changes.count(-1)
        p = mcnemar(gained, lost)
        comparisons.append(Comparison(name, accuracy(earlier), accuracy(later), gain, gained, lost, p))
    return comparisons


def compare_folders(before: Path, after: Path) -> list[Comparison]:
    """Compare two evaluation folders. Raises DataError as `compare` does; the message names both folders."""
    earlier, later = read_evaluation_rows(before), read_evaluation_rows(after)
    try:
        return compare(earlier, later)
    except DataError as error:
        raise DataError(f"{before} and {after}: {error}") from error


@dataclass(frozen=True, slots=True)
class FourWay:
    """One group of questions before and after training, with the clip (`comparison`) and without it."""

    comparison: Comparison
    before_without_audio: Estimate
    after_without_audio: Estimate
    chance: float


def four_way(
    before: Sequence[Row], before_without_audio: Sequence[Row], after: Sequence[Row], after_without_audio: Sequence[Row]
) -> list[FourWay]:
    """Compare before and after, with and without the clip: did training help, and does the model listen?

    Raises DataError as `compare` does.
    """
    with_audio = compare(before, after)
    without_audio = compare(before_without_audio, after_without_audio)
    choice_counts = {
        name: [len(row["choices"]) for row in members if row["choices"]] for name, members in group_rows(before).items()
    }
    return [
        FourWay(comparison, other.before, other.after, chance(choice_counts[comparison.group]))
        for comparison, other in zip(with_audio, without_audio, strict=True)
    ]


def _pair_by_id(before: Sequence[Row], after: Sequence[Row]) -> dict[str, Row]:
    """The rows of `after` by id. Raises DataError with counts where the two do not have the same questions."""
    earlier, later = {row["id"]: row for row in before}, {row["id"]: row for row in after}
    for side, rows, by_id in (("before", before, earlier), ("after", after, later)):
        if len(by_id) < len(rows):
            raise DataError(f"{len(rows) - len(by_id)} ids appear twice {side}; pairs need one row for each question")
    only_before = [ident for ident in earlier if ident not in later]
    only_after = [ident for ident in later if ident not in earlier]
    if only_before or only_after:
        parts = [
            f"{len(idents)} only {side} (such as {idents[0]!r})"
            for side, idents in (("before", only_before), ("after", only_after))
            if idents
        ]
        raise DataError(
            f"the questions are not the same: {' and '.join(parts)}, of {len(earlier)} and {len(later)}; "
            "evaluate both on one file"
        )
    usable = [ident for ident, row in earlier.items() if row["choices"] and later[ident]["choices"]]
    changed = [ident for ident in usable if _content(earlier[ident]) != _content(later[ident])]
    if changed:
        raise DataError(
            f"{len(changed)} of {len(earlier)} questions (such as {changed[0]!r}) have another text, other choices or "
            "another answer after: versions of a benchmark cannot be compared; evaluate both on one file"
        )
    return later


def _content(row: Row) -> tuple[Any, ...]:
    """What makes two rows the same question; the order of the choices does not matter."""
    return row["question"], sorted(row["choices"]), row["answer"]


def _correct_by_id(rows: Sequence[Row]) -> dict[str, float]:
    return {row["id"]: float(row["correct"]) for row in rows}
