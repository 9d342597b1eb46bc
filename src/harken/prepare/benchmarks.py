"""Turns the file of a benchmark into a manifest, so that a benchmark can be looked at and checked like any other set.

The clips stay where they are. The choices are the benchmark's, also repeated ones, and a record without an answer stays
without one.
"""

from collections.abc import Callable
from pathlib import Path

from harken.benchmarks.registry import find_benchmark
from harken.prepare.data_card import Card
from harken.prepare.draft import Draft, finish, measure
from harken.prepare.licences import Source


def prepare_benchmark(
    name: str,
    data: Path,
    audio_root: Path,
    out: Path,
    *,
    workers: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Card:
    """Write manifest.jsonl, rejected.jsonl and card.md below `out`.

    Raises ConfigError for a name that stands for no benchmark.
    """
    benchmark = find_benchmark(name)
    source = Source(benchmark.title, benchmark.url, f"{benchmark.licence}; a benchmark: not for training")
    questions, rejected = benchmark.read(data, audio_root)
    draft = Draft(source, len(questions) + len(rejected), questions, rejected)
    measure(draft, workers, on_progress)
    return finish(draft, out, audio_root, (), workers)
