"""What an evaluation says of itself as a benchmark: name, version, part, and the official figures.

Takes the evaluation's reader, its file and its rows, gives what enters the summary. Only a whole benchmark has these:
with a subset or a limit, or for data in a benchmark's form that is not the benchmark, there are none. Not taken:
official figures of a part, which are figures of nothing that others measure.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harken.benchmarks.readers import READERS
from harken.benchmarks.score import OFFICIAL, score
from harken.benchmarks.versions import mmau_version
from harken.types import Question

PARTS = {"mmau": "test-mini", "mmar": "", "airbench": "foundation", "mmsu": ""}


def official_figures(reader: str, file: Path, rows: Sequence[Mapping[str, Any]], letters_shown: bool) -> dict[str, Any]:
    """`benchmark` {name, version, part} and, where no answer is hidden, `official`, as `score` gives it for the bare
    choices; {} for other data.

    Args:
        rows: one of each record of the file, with `id` and `completion`.
    """
    if reader not in OFFICIAL:
        return {}
    items, _ = READERS[reader](file, None)
    version = mmau_version((question.id, question.choices) for question in items) if reader == "mmau" else ""
    if version in ("unknown", "mixed"):
        return {}
    found = {"benchmark": {"name": reader, "version": version, "part": PARTS[reader]}}
    if any(_hidden(question) for question in items):
        return found
    said = {row["id"]: row["completion"] for row in rows}
    completions = {question.id: said[question.id] for question in items}
    return {**found, "official": score(reader, items, completions, letters_shown=letters_shown, bare=True)}


def _hidden(question: Question) -> bool:
    return question.answer is None and not question.answer_text
