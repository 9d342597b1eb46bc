"""Reads and writes harken's own file of questions: JSON lines, one `Question` a line.

Clip names are relative to a folder, so that a set can be moved; `start_s` and `end_s`, in seconds from the beginning of
the file, say that the clip is a part of it. A question that is read equals the one that was written, except `source`,
which says where it was read. Unknown keys are refused: in harken's own format they are misspellings.
"""

import math
import os
from collections.abc import Iterable
from pathlib import Path

from harken.data.record_fields import choices_field, clip_path, label_field, text_field
from harken.data.records import Record, RecordError, read_questions
from harken.errors import DataError, short_repr
from harken.system.json_lines import write_json_lines
from harken.types import Question, Rejected

_SPAN_KEYS = ("start_s", "end_s")
_KEYS = (
    *("id", "text", "choices", "answer", "audio", "task", "difficulty", "category", "subcategory", "dataset"),
    "reasoning",
)


def write_manifest(path: Path, questions: Iterable[Question], audio_root: Path | None = None) -> None:
    """Write questions as JSON lines, clips relative to `audio_root` (default: the manifest's own folder).

    Raises DataError where a clip is outside that folder; nothing is written then.
    """
    root = path.parent if audio_root is None else audio_root
    write_json_lines(path, [_record(question, root) for question in questions])


def read_manifest(path: Path, audio_root: Path | None = None) -> tuple[list[Question], list[Rejected]]:
    """Read what `write_manifest` wrote; clip names are relative to `audio_root`, default the file's own folder.

    Raises DataError where the file cannot be read at all.
    """
    root = path.parent if audio_root is None else audio_root
    return read_questions(path, lambda record, source: parse_manifest(record, root, source))


def parse_manifest(record: Record, audio_root: Path, source: str) -> Question:
    """One record as a Question. Raises RecordError with the reason, which names the value."""
    for key in record:
        if key not in _KEYS + _SPAN_KEYS:
            raise RecordError(f"unknown key {short_repr(key)}; known: {', '.join(_KEYS + _SPAN_KEYS)}")
    choices = choices_field(record)
    answer = record.get("answer")
    if answer is not None and (type(answer) is not int or not 0 <= answer < len(choices)):
        raise RecordError(f"answer: expected an index from 0 to {len(choices) - 1} or null, found {short_repr(answer)}")
    clip = record.get("audio")
    start_s, end_s = _part(record, has_clip=clip is not None)
    return Question(
        id=text_field(record, "id"),
        text=text_field(record, "text"),
        choices=choices,
        answer=answer,
        audio=None if clip is None else clip_path(clip, audio_root),
        task=label_field(record, "task"),
        difficulty=label_field(record, "difficulty"),
        category=label_field(record, "category"),
        subcategory=label_field(record, "subcategory"),
        dataset=label_field(record, "dataset"),
        reasoning=label_field(record, "reasoning"),
        source=source,
        start_s=start_s,
        end_s=end_s,
    )


def _part(record: Record, *, has_clip: bool) -> tuple[float, float | None]:
    times: dict[str, float] = {}
    for key in _SPAN_KEYS:
        value = record.get(key)
        if value is None:
            continue
        if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
            raise RecordError(f"{key}: expected seconds, 0 or more, found {short_repr(value)}")
        if not has_clip:
            raise RecordError(f"{key}: a part of a file, and the record names no audio")
        times[key] = float(value)
    start_s, end_s = times.get("start_s", 0.0), times.get("end_s")
    if end_s is not None and end_s <= start_s:
        raise RecordError(f"end_s: {end_s:g} is not after start_s, {start_s:g}")
    return start_s, end_s


def _record(question: Question, audio_root: Path) -> Record:
    record: Record = {key: getattr(question, key) for key in _KEYS}
    record["choices"] = list(question.choices)
    if question.start_s != 0 or question.end_s is not None:
        record |= {"start_s": question.start_s, "end_s": question.end_s}
    if question.audio is not None:
        relative = Path(os.path.relpath(question.audio, audio_root)).as_posix()
        if relative.split("/")[0] == "..":
            raise DataError(
                f"question {question.id!r}: clip {question.audio} is outside {audio_root}; "
                "pass an audio_root that holds every clip"
            )
        record["audio"] = relative
    return record
