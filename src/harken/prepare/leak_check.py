"""`harken prepare check`: compare a finished training set with benchmarks, by the rules in leaks.py."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from harken.prepare.clip_extraction import measure_clips
from harken.prepare.data_card import CardTable
from harken.prepare.leak_check_sets import ComparedSet
from harken.prepare.leaks import CLIP_RULES, Comparison, LeakSearch
from harken.system.json_lines import write_json_lines


def check_leaks(
    training: ComparedSet, benchmarks: Sequence[ComparedSet], workers: int, out: Path | None = None
) -> list[Comparison]:
    """Compare each benchmark with the training set, and write every pair to `out` as JSON lines.

    The training set is read twice, the first time for its clips: each is decoded once, whatever number of records is
    about it.

    Raises DataError where a set cannot be read, or where nothing could be compared.
    """
    search = LeakSearch(benchmarks, workers, None if out is None else out.parent)
    if search.needs_sound:
        spans = [span for span in dict.fromkeys(training.spans()) if os.path.isfile(span.path)]
        measure_clips(spans, workers, on_clip=search.hear)
    for record in training.records():
        search.compare([record])
    comparisons = search.comparisons()
    if out is not None:
        write_json_lines(out, (asdict(leak) for comparison in comparisons for leak in comparison.leaks))
    return comparisons


def has_leak(comparison: Comparison) -> bool:
    """Whether both sets have a clip in common. Similar questions alone are no leak, because wordings repeat."""
    return any(len(comparison.pairs[rule]) for rule in CLIP_RULES)


def leak_table(comparison: Comparison) -> CardTable:
    """What was compared, and the leaks by each rule with the first pair of each."""
    rows = list(comparison.coverage.rows().items())
    for rule, pairs in comparison.pairs.items():
        example = f" (first: {pairs[0].id} = {pairs[0].benchmark_id})" if len(pairs) else ""
        rows.append((f"training records with the same {rule}{example}", f"{len(pairs):,}"))
    return CardTable(comparison.name, ("", "n"), rows)
