"""`harken prepare check`: compare a finished training set with benchmarks, by the rules in leaks.py."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from harken.prepare.data_card import CardTable
from harken.prepare.leak_check_sets import ComparedSet, read_compared_records
from harken.prepare.leaks import CLIP_RULES, RULES, Comparison, compare_sets
from harken.system.json_lines import write_json_lines


def check_leaks(
    training: ComparedSet, benchmarks: Sequence[ComparedSet], workers: int, out: Path | None = None
) -> list[Comparison]:
    """Compare each benchmark with the training set, and write every pair to `out` as JSON lines.

    Raises DataError where a set cannot be read, or where nothing could be compared.
    """
    records = read_compared_records(training.file, training.audio_root)
    comparisons = compare_sets(records, benchmarks, workers)
    if out is not None:
        write_json_lines(out, [asdict(leak) for comparison in comparisons for leak in comparison.leaks])
    return comparisons


def has_leak(comparison: Comparison) -> bool:
    """Whether both sets have a clip in common. Similar questions alone are no leak, because wordings repeat."""
    return any(leak.rule in CLIP_RULES for leak in comparison.leaks)


def leak_table(comparison: Comparison) -> CardTable:
    """What was compared, and the leaks by each rule with the first pair of each."""
    rows = list(comparison.coverage.rows().items())
    for rule in RULES:
        leaks = comparison.leaks_of(rule)
        example = f" (first: {leaks[0].id} = {leaks[0].benchmark_id})" if leaks else ""
        rows.append((f"training records with the same {rule}{example}", f"{len(leaks):,}"))
    return CardTable(comparison.name, ("", "n"), rows)
