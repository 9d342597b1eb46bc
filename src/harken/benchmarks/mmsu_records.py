"""MMSU's record -> Question.

Takes id, audio_path, question, choice_a to choice_d, answer_gt (text), task_name, category (perception or reasoning),
sub-category; further keys are ignored. Published as a table with the sound inside: written out as JSON, with the clips
as files under their names, it is this record. Not taken: reading that table, which would ask for another library.
"""

from pathlib import Path

from harken.benchmarks.lettered import lettered_answer, lettered_choices
from harken.data.records import Record, clip_path, label_field, read_questions, text_field
from harken.types import Question, Rejected


def read_mmsu(path: Path, audio_root: Path | None = None) -> tuple[list[Question], list[Rejected]]:
    """Read a file of MMSU records; clip names are relative to `audio_root`, default the file's own folder.

    Raises DataError where the file cannot be read at all.
    """
    root = path.parent if audio_root is None else audio_root
    return read_questions(path, lambda record, source: parse_mmsu(record, root, source))


def parse_mmsu(record: Record, audio_root: Path, source: str) -> Question:
    """One record as a Question. Raises RecordError with the reason, which names the value."""
    choices = lettered_choices(record)
    return Question(
        id=text_field(record, "id"),
        text=text_field(record, "question"),
        choices=tuple(choice.strip() for choice in choices),
        answer=lettered_answer(record, choices),
        audio=clip_path(text_field(record, "audio_path"), audio_root),
        task=label_field(record, "task_name"),
        category=label_field(record, "category"),
        subcategory=label_field(record, "sub-category"),
        source=source,
    )
