"""`harken score`: a benchmark file and a file of predictions -> the figures, or a submission file.

Takes paths, gives a dict for JSON that says what it is of: benchmark, version, files, which text the official rule was
handed. Needs no audio. A benchmark file with a record that cannot be used is refused: the figure would be of another
benchmark.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harken.benchmarks.prediction_file import Predictions, read_prediction_file
from harken.benchmarks.readers import READERS
from harken.benchmarks.score import LETTERED, OFFICIAL, score
from harken.benchmarks.versions import mmau_version
from harken.data.records import read_records
from harken.errors import DataError
from harken.system.files import write_json
from harken.types import Question


def score_file(benchmark: str, data: Path, predictions: Path, *, letters_shown: bool | None = None) -> dict[str, Any]:
    """Score a file of predictions; keys as in `score`, and what the figures are of.

    Raises DataError for a benchmark file or predictions that cannot be trusted, with counts.
    """
    items = read_benchmark(benchmark, data)
    said = read_prediction_file(predictions, benchmark, items)
    return {
        **_heading(benchmark, data, predictions, items, said),
        "official_input": "bare choice" if said.own else "text as given",
        "letters_shown": benchmark in LETTERED if letters_shown is None else letters_shown,
        **score(benchmark, items, said.texts, letters_shown=letters_shown, bare=said.own),
    }


def write_submission(data: Path, predictions: Path, out: Path) -> dict[str, Any]:
    """Write MMAU's records with each prediction under both keys that its server and its script read, "" where there is
    none, so that no item leaves the denominator. Answers may be hidden (test-full).

    Returns what was written. Raises as `score_file` does.
    """
    items = read_benchmark("mmau", data)
    said = read_prediction_file(predictions, "mmau", items)
    records, _ = read_records(data)
    texts = [said.texts.get(record["id"], "") for _, record in records]
    filled = [
        {**record, "model_output": text, "model_prediction": text}
        for (_, record), text in zip(records, texts, strict=True)
    ]
    write_json(out, filled)
    counts = {"n": len(items), "n_missing": len(items) - len(said.texts)}
    return {**_heading("mmau", data, predictions, items, said), **counts, "submission": str(out)}


def read_benchmark(benchmark: str, data: Path) -> list[Question]:
    """Every question of a published file. Raises DataError where one cannot be used, or MMAU's versions are mixed."""
    if benchmark not in OFFICIAL:
        raise DataError(f"benchmark {benchmark!r} has no scorer; one of {', '.join(OFFICIAL)}")
    items, rejected = READERS[benchmark](data, None)
    if rejected:
        first = "; ".join(f"line {one.line}: {one.reason}" for one in rejected[:3])
        raise DataError(
            f"{data}: {len(rejected)} of {len(items) + len(rejected)} records cannot be used as {benchmark}: {first}"
            f"{'; ...' if len(rejected) > 3 else ''}\nGive the file as the benchmark publishes it."
        )
    if not items:
        raise DataError(f"{data}: holds no records; give the file as {benchmark} publishes it")
    if benchmark == "mmau" and _version(items) == "mixed":
        raise DataError(f"{data}: holds records of MMAU original and of v05.15.25: two benchmarks, never mixed")
    return items


def _version(items: Sequence[Question]) -> str:
    return mmau_version((question.id, question.choices) for question in items)


def _heading(benchmark: str, data: Path, predictions: Path, items: Sequence[Question], said: Predictions):
    """Which benchmark, which version ("" where the benchmark has but one), which files."""
    return {
        "benchmark": benchmark,
        "version": _version(items) if benchmark == "mmau" else "",
        "data": str(data),
        "predictions": str(predictions),
        "prediction_keys": list(said.keys),
        "n_records": said.records,
        "n_without_prediction_key": said.without_key,
        "n_null": said.null,
    }
