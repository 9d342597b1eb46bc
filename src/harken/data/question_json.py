"""Questions as JSON values, for processes that send them to each other."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harken.types import AudioSpan, Criterion, Question


def question_to_json(question: Question) -> dict[str, Any]:
    """Every field of a question as a JSON value."""
    spans = [{"path": str(span.path), "start_s": span.start_s, "end_s": span.end_s} for span in question.audio_spans]
    return {**asdict(question), "audio": spans, "extra": dict(question.extra)}


def question_from_json(row: Mapping[str, Any]) -> Question:
    """The question that `question_to_json` wrote."""
    spans = tuple(AudioSpan(Path(span["path"]), span["start_s"], span["end_s"]) for span in row["audio"])
    rubric = tuple(Criterion(each["name"], each["rule"], tuple(each["scores"])) for each in row["rubric"])
    return Question(**{**row, "choices": tuple(row["choices"]), "audio": spans, "rubric": rubric})
