"""MMAU, MMAR and AIR-Bench -> a manifest, so that a benchmark can be looked at, checked and asked like any other set.

Takes the benchmark's own file; clips stay where they are. The choices are the benchmark's, repeated ones too, and
records without an answer stay without one.
"""

from collections.abc import Callable
from pathlib import Path

from harken.benchmarks.readers import READERS
from harken.data.load import Reader
from harken.prepare.data_card import Card
from harken.prepare.draft import Draft, finish, measure
from harken.prepare.licences import AIRBENCH, MMAR, MMAU, Source

BENCHMARKS: dict[str, tuple[Source, Reader]] = {
    "mmau": (MMAU, READERS["mmau"]),
    "mmar": (MMAR, READERS["mmar"]),
    "airbench": (AIRBENCH, READERS["airbench"]),
}


def prepare_benchmark(
    name: str,
    data: Path,
    audio_root: Path,
    out: Path,
    *,
    workers: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Card:
    """Write manifest.jsonl, rejected.jsonl and card.md below `out`; `name` is a key of BENCHMARKS."""
    source, read = BENCHMARKS[name]
    questions, rejected = read(data, audio_root)
    draft = Draft(source, len(questions) + len(rejected), questions, rejected)
    measure(draft, workers, on_progress)
    return finish(draft, out, audio_root, (), workers)
