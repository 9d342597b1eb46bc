"""`harken prepare mmau`, `mmar` and the other benchmarks: the file of a benchmark becomes a manifest.

So a benchmark can be looked at, reviewed and checked like any other set. The clips stay where they are. Choices are not
cleaned, so repeated ones stay, and a record without an answer stays without one.
"""

from pathlib import Path

from harken.benchmarks.registry import find_benchmark
from harken.prepare.data_card import Card
from harken.prepare.draft import Draft, measure_draft_clips, write_draft
from harken.prepare.leaks import LeakSearch
from harken.prepare.licences import DataSource
from harken.system.progress import OnProgress, no_progress
from harken.system.writer_lock import one_writer
from harken.types import Question


@one_writer
def prepare_benchmark(
    name: str, data: Path, audio_root: Path, out: Path, *, workers: int, on_progress: OnProgress = no_progress
) -> Card:
    """Write manifest.jsonl, rejected.jsonl and card.md below `out`.

    Raises ConfigError for a name that stands for no benchmark.
    """
    benchmark = find_benchmark(name)
    licence = f"{benchmark.licence}; a benchmark: do not train on it"
    draft = Draft[Question](DataSource(benchmark.title, benchmark.url, licence), out)
    for outcome in benchmark.outcomes(data, audio_root):
        draft.add(outcome)
    draft.reject(lambda question: None if question.choices else "no choices: a manifest holds questions with choices")
    no_benchmark = LeakSearch((), workers, out)
    measure_draft_clips(draft, workers, on_progress, no_benchmark)
    return write_draft(draft, out, audio_root, no_benchmark)
