"""Questions as JSON values, for processes that send them to each other."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harken.types import Question


def question_to_json(question: Question) -> dict[str, Any]:
    """Every field of a question as a JSON value."""
    return {**asdict(question), "audio": None if question.audio is None else str(question.audio)}


def question_from_json(row: Mapping[str, Any]) -> Question:
    """The question that `question_to_json` wrote."""
    audio = None if row["audio"] is None else Path(row["audio"])
    return Question(**{**row, "choices": tuple(row["choices"]), "audio": audio})
