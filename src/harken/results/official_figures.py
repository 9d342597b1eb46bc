"""What the summary of an evaluation says of its benchmark: name, version and part, and the official figures.

Only a whole benchmark has these. An evaluation of a subset, or of data that merely has the form of a benchmark, has
none: its figures could not be compared with what others measure.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harken.benchmarks.registry import benchmark_of_reader
from harken.results.score import check_rule, score
from harken.types import Question


def check_official_rule(reader: str, questions: Sequence[Question]) -> None:
    """Raise DataError where the benchmark's rule does not read bare choices (`check_rule`)."""
    benchmark = benchmark_of_reader(reader)
    if benchmark is not None and benchmark.recognise_questions(questions).version not in ("unknown", "mixed"):
        check_rule(benchmark, questions)


def official_figures(reader: str, file: Path, rows: Sequence[Mapping[str, Any]], letters_shown: bool) -> dict[str, Any]:
    """`benchmark` {name, version, part} and, where the benchmark has an official rule and hides no answer, `official`,
    as `score` gives it for the bare choices; {} for other data.

    Args:
        reader: as in `data.reader`.
        rows: one for each record of the file, with `id` and `completion`.
    """
    benchmark = benchmark_of_reader(reader)
    if benchmark is None:
        return {}
    questions, _ = benchmark.read(file)
    version = benchmark.recognise_questions(questions).version
    if version in ("unknown", "mixed"):
        return {}
    measured = {"benchmark": {"name": benchmark.name, "version": version, "part": benchmark.part}}
    hidden = any(question.answer_hidden for question in questions)
    if hidden or benchmark.official_rule is None:
        return measured
    completion_of = {row["id"]: row["completion"] for row in reversed(rows)}  # the first row of an id counts
    completions = {question.id: completion_of[question.id] for question in questions}
    return {**measured, "official": score(benchmark, questions, completions, letters_shown=letters_shown, bare=True)}
