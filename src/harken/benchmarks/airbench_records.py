"""AIR-Bench's foundation record (Foundation_meta.json) -> Question.

Takes path, question, choice_a to choice_d (c and d may be missing), answer_gt (text), task_name, dataset_name, uniq_id.
Clips lie in one folder per task and dataset, `{task_name}_{dataset_name}/{path}`; those of Audio_Grounding are FLAC
whatever the record's extension says. Names stay spelled as published (Speaker_Emotion_Recontion). Not taken: uniq_id
alone as the id: nothing published says that it is unique beyond its folder.
"""

from pathlib import Path

from harken.benchmarks.lettered import lettered_answer, lettered_choices
from harken.data.records import Record, RecordError, clip_path, read_questions, text_field
from harken.errors import short_repr
from harken.types import Question, Rejected


def read_airbench(path: Path, audio_root: Path | None = None) -> tuple[list[Question], list[Rejected]]:
    """Read a file of foundation records; the folders are relative to `audio_root`, default the file's own folder.

    The id is `{task_name}_{dataset_name}/{uniq_id}`, task and dataset are the record's names.
    Raises DataError where the file cannot be read at all.
    """
    root = path.parent if audio_root is None else audio_root
    return read_questions(path, lambda record, source: parse_airbench(record, root, source))


def parse_airbench(record: Record, audio_root: Path, source: str) -> Question:
    """One record as a Question. Raises RecordError with the reason, which names the value."""
    choices = lettered_choices(record)
    task, dataset = text_field(record, "task_name"), text_field(record, "dataset_name")
    name = text_field(record, "path")
    if task == "Audio_Grounding":
        name = f"{name.rpartition('.')[0] or name}.flac"
    folder = f"{task}_{dataset}"
    if "/" in folder or "\0" in folder:
        raise RecordError(f"task_name and dataset_name {short_repr(folder)} name no folder")
    return Question(
        id=airbench_id(record),
        text=text_field(record, "question"),
        choices=tuple(choice.strip() for choice in choices),
        answer=lettered_answer(record, choices),
        audio=clip_path(name, audio_root / folder),
        task=task,
        dataset=dataset,
        source=source,
    )


def airbench_id(record: Record) -> str:
    """Raises RecordError where a part of it is missing."""
    value = record.get("uniq_id")
    unique = str(value) if type(value) is int else text_field(record, "uniq_id")
    return f"{text_field(record, 'task_name')}_{text_field(record, 'dataset_name')}/{unique}"
