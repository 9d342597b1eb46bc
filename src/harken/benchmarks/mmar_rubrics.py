"""MMAR-Rubrics: what a judge would look for in the reasoning about each MMAR item.

Takes the later MMAR file (thinking, cue, rubric beside the question's keys), gives a Rubric for each record; the
questions themselves are `mmar`'s. Only a reader: a rubric score needs a language model that judges. The published
protocol: 0 where the answer is wrong by MMAR's matcher, else the judge's points over the possible ones, five times, the
mean of the middle three.
"""

from dataclasses import dataclass
from pathlib import Path

from harken.data.records import Record, RecordError, read_questions, text_field
from harken.errors import short_repr
from harken.types import Rejected


@dataclass(frozen=True, slots=True)
class Criterion:
    """One point of a rubric: its name, when it is earned, and the scores a judge may give."""

    name: str
    rule: str
    scores: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rubric:
    """The rubric of one question, by the question's id.

    Attributes:
        thinking: the reference reasoning.
        cues: what is to be heard.
    """

    id: str
    thinking: str
    cues: tuple[str, ...]
    criteria: tuple[Criterion, ...]


def read_rubrics(path: Path) -> tuple[list[Rubric], list[Rejected]]:
    """Read the rubrics of a file of MMAR records; a record without one is rejected.

    Raises DataError where the file cannot be read at all.
    """
    return read_questions(path, lambda record, source: parse_rubric(record))


def parse_rubric(record: Record) -> Rubric:
    """One record's rubric. Raises RecordError with the reason, which names the value."""
    cues, criteria = record.get("cue"), record.get("rubric")
    if not isinstance(cues, list) or not all(isinstance(cue, str) for cue in cues):
        raise RecordError(f"cue: expected a list of texts, found {short_repr(cues)}")
    if not isinstance(criteria, list) or not criteria:
        raise RecordError(f"rubric: expected a list of criteria, found {short_repr(criteria)}")
    return Rubric(
        id=text_field(record, "id"),
        thinking=text_field(record, "thinking"),
        cues=tuple(cues),
        criteria=tuple(_criterion(one) for one in criteria),
    )


def _criterion(value: object) -> Criterion:
    if not isinstance(value, dict):
        raise RecordError(f"rubric: expected an object, found {short_repr(value)}")
    scores = value.get("choices")
    if not isinstance(scores, list) or not scores or not all(type(score) is int for score in scores):
        raise RecordError(f"rubric.choices: expected a list of whole numbers, found {short_repr(scores)}")
    return Criterion(text_field(value, "name"), text_field(value, "scoring_point"), tuple(scores))
