"""MMAU's JSON record, and MMAR's, -> Question.

Takes id, audio_id (MMAR: audio_path), question, choices, answer (text), task (MMAR: modality), category, sub-category,
difficulty, dataset; further keys are ignored. Gives questions and rejected records. Choices are stripped and otherwise
left alone: v05.15.25 holds 27 items with duplicate choices, and leaving them out would change the benchmark. Not taken:
correcting the benchmark.
"""

from pathlib import Path

from harken.data.records import (
    Record,
    answer_index,
    choices_field,
    clip_path,
    label_field,
    read_questions,
    text_field,
    unlisted,
)
from harken.types import Question, Rejected


def read_mmau(path: Path, audio_root: Path | None = None) -> tuple[list[Question], list[Rejected]]:
    """Read a file of MMAU or MMAR records; clip names are relative to `audio_root`, default the file's own folder.

    A record without `answer` (test-full) has answer None; one without a clip name is a text-only question.
    Raises DataError where the file cannot be read at all.
    """
    root = path.parent if audio_root is None else audio_root
    return read_questions(path, lambda record, source: parse_mmau(record, root, source))


def parse_mmau(record: Record, audio_root: Path, source: str) -> Question:
    """One record as a Question. Raises RecordError with the reason, which names the value."""
    choices = choices_field(record)
    clip = record.get("audio_path", record.get("audio_id"))
    return Question(
        id=text_field(record, "id"),
        text=text_field(record, "question"),
        choices=tuple(choice.strip() for choice in choices),
        answer=_answer_index(record, choices),
        audio=None if clip is None else clip_path(clip, audio_root),
        task=label_field(record, "task", "modality"),
        difficulty=label_field(record, "difficulty"),
        category=label_field(record, "category"),
        subcategory=label_field(record, "sub-category"),
        dataset=label_field(record, "dataset"),
        source=source,
    )


def _answer_index(record: Record, choices: tuple[str, ...]) -> int | None:
    if record.get("answer") is None:
        return None
    answer = text_field(record, "answer")
    index = answer_index(answer, choices)
    if index is None:
        raise unlisted(answer, choices)
    return index
