"""Reads and writes harken's own file of questions: JSON lines, one `Question` a line.

Clip names are relative to a folder, so that a set can be moved; `start_s` and `end_s`, in seconds from the beginning of
the file, say that the clip is a part of it. A question without choices has its reference under `answer_text`, and may
have a `rubric`, a list of objects with name, rule and scores. A question about several clips has a list under `audio`:
names, or objects with audio, start_s and end_s. `extra` holds further columns for functions of the user's own. A
question that is read equals the one that was written, except `source`, which says where it was read. Unknown keys are
refused: in harken's own format they are misspellings.
"""

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from harken.data.record_fields import choices_field, clip_path, label_field, rubric_field, text_field
from harken.data.records import Record, RecordError, apart, iter_questions
from harken.errors import DataError, short_repr
from harken.system.json_lines import write_json_lines
from harken.types import AudioSpan, Question, Rejected

_SPAN_KEYS = ("start_s", "end_s")
_KEYS = (
    *("id", "text", "choices", "answer", "audio", "task", "difficulty", "category", "subcategory", "dataset"),
    *("reasoning", "answer_text", "rubric", "extra"),
)
_ONLY_WHERE_SET = ("answer_text", "rubric", "extra")


def write_manifest(path: Path, questions: Iterable[Question], audio_root: Path | None = None) -> None:
    """Write questions as JSON lines, clips relative to `audio_root` (default: the manifest's own folder).

    Raises DataError where a clip is outside that folder; nothing is written then.
    """
    root = path.parent if audio_root is None else audio_root
    write_json_lines(path, (manifest_record(question, root) for question in questions))


def read_manifest(path: Path, audio_root: Path | None = None) -> tuple[list[Question], list[Rejected]]:
    """Read what `write_manifest` wrote; clip names are relative to `audio_root`, default the file's own folder.

    Raises DataError where the file cannot be read at all.
    """
    return apart(iter_manifest(path, audio_root))


def iter_manifest(path: Path, audio_root: Path | None = None) -> Iterator[Question | Rejected]:
    """Read as `read_manifest` does, one record after another, so that memory holds the ids alone."""
    root = path.parent if audio_root is None else audio_root
    return iter_questions(path, lambda record, source: parse_manifest(record, root, source))


def parse_manifest(record: Record, audio_root: Path, source: str) -> Question:
    """One record as a Question. Raises RecordError with the reason, which names the value."""
    for key in record:
        if key not in _KEYS + _SPAN_KEYS:
            raise RecordError(f"unknown key {short_repr(key)}; known: {', '.join(_KEYS + _SPAN_KEYS)}")
    open_question = record.get("choices") in (None, []) and record.get("answer_text") is not None
    choices = () if open_question else choices_field(record)
    answer = record.get("answer")
    if open_question and answer is not None:
        raise RecordError(f"answer: an open question has its reference in answer_text, found {short_repr(answer)}")
    if answer is not None and (type(answer) is not int or not 0 <= answer < len(choices)):
        raise RecordError(f"answer: expected an index from 0 to {len(choices) - 1} or null, found {short_repr(answer)}")
    clip = record.get("audio")
    start_s, end_s = _part(record, has_clip=isinstance(clip, str))
    return Question(
        id=text_field(record, "id"),
        text=text_field(record, "text"),
        choices=choices,
        answer=answer,
        audio=_audio(clip, audio_root, start_s, end_s),
        task=label_field(record, "task"),
        difficulty=label_field(record, "difficulty"),
        category=label_field(record, "category"),
        subcategory=label_field(record, "subcategory"),
        dataset=label_field(record, "dataset"),
        reasoning=label_field(record, "reasoning"),
        answer_text=text_field(record, "answer_text") if open_question else label_field(record, "answer_text"),
        rubric=rubric_field(record, "rubric", rule="rule", scores="scores"),
        extra=_extra(record.get("extra")),
        source=source,
        start_s=start_s,
        end_s=end_s,
    )


def _extra(value: object) -> Record:
    if value is not None and not isinstance(value, dict):
        raise RecordError(f"extra: expected an object of further columns, found {short_repr(value)}")
    return value or {}


def _audio(value: object, audio_root: Path, start_s: float, end_s: float | None) -> Path | tuple[AudioSpan, ...] | None:
    """The clip that a name means, or several of a list of names and of objects with audio, start_s and end_s."""
    if not isinstance(value, list):
        return None if value is None else clip_path(value, audio_root)
    if not value:
        raise RecordError("audio: an empty list; leave the key out where there is no clip")
    spans = []
    for entry in value:
        part: Record = entry if isinstance(entry, dict) else {"audio": entry}
        for key in part:
            if key not in ("audio", *_SPAN_KEYS):
                raise RecordError(f"audio: unknown key {short_repr(key)}; known: audio, {', '.join(_SPAN_KEYS)}")
        spans.append(AudioSpan(clip_path(part.get("audio"), audio_root), *_part(part, has_clip=True)))
    return tuple(spans)


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


def manifest_record(question: Question, audio_root: Path) -> Record:
    """The record of a question. Raises DataError where a clip is outside `audio_root`."""
    record: Record = {key: getattr(question, key) for key in _KEYS if key not in _ONLY_WHERE_SET}
    record["choices"] = list(question.choices)
    clips = [_clip(question, span, audio_root) for span in question.audio_spans]
    if len(clips) > 1:
        record["audio"] = [clip if clip.keys() - {"audio"} else clip["audio"] for clip in clips]
    elif clips:
        record |= clips[0]
    if question.answer_text:
        record["answer_text"] = question.answer_text
    if question.rubric:
        record["rubric"] = [
            {"name": each.name, "rule": each.rule, "scores": list(each.scores)} for each in question.rubric
        ]
    return record | ({"extra": dict(question.extra)} if question.extra else {})


def _clip(question: Question, span: AudioSpan, audio_root: Path) -> Record:
    relative = _relative(span.path, audio_root)
    if relative.split("/")[0] == "..":
        raise DataError(
            f"question {question.id!r}: clip {span.path} is outside {audio_root}; "
            "pass an audio_root that holds every clip"
        )
    whole = span.start_s == 0 and span.end_s is None
    return {"audio": relative} | ({} if whole else {"start_s": span.start_s, "end_s": span.end_s})


def _relative(path: Path, folder: Path) -> str:
    name, prefix = path.as_posix(), f"{folder.as_posix()}/"
    if name.startswith(prefix) and ".." not in name:  # nearly always, and 20 times as fast as relpath
        return name[len(prefix) :]
    return Path(os.path.relpath(path, folder)).as_posix()
