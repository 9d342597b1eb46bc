"""Read sets of any known format as records that the leak rules (leaks.py) can compare.

A `ComparedRecord` holds what the rules look at: the name of the clip, the video it was cut from, and the words of the
question. Training sets and benchmarks are read by the same function.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from harken.data.record_fields import clip_path
from harken.data.records import Record, RecordError, read_records
from harken.errors import DataError
from harken.prepare.clip_names import parse_clip_name
from harken.prepare.vggsound_list import read_clip_list
from harken.types import AudioSpan

_URL_ID = re.compile(r"(?:[?&]v=|youtu\.be/|/shorts/|/embed/)([A-Za-z0-9_-]{11})")
_AUDIOSET_ID = re.compile(r"Y([A-Za-z0-9_-]{11})")
_TIMED_ID = re.compile(r"([A-Za-z0-9_-]{11})_[0-9].*")


@dataclass(frozen=True, slots=True)
class ComparedRecord:
    """One record as the rules see it.

    Attributes:
        name: file name of the clip without folder and extension; "" for none.
        video: YouTube id; "" where it is unknown.
        start_s: second of the video at which the clip begins; None where it is unknown.
        words: of the question and its choices.
        span: the clip, if the record names one.
    """

    id: str
    name: str
    video: str
    start_s: int | None
    words: frozenset[str]
    span: AudioSpan | None = None


@dataclass(frozen=True, slots=True)
class ComparedSet:
    """A training set or a benchmark to compare: its file, and the folder of its clips (default: the file's folder)."""

    file: Path
    audio_root: Path | None = None


def read_compared_records(path: Path, audio_root: Path | None = None) -> list[ComparedRecord]:
    """Read a manifest, a benchmark (MMAU, MMAR, AIR-Bench), AVQA's annotations, or a CSV list of clips (`<name>,...`).

    A record of another form has neither clip nor words, and matches nothing.

    Raises DataError where the file cannot be read, or has no record with a clip or a question.
    """
    root = path.parent if audio_root is None else audio_root
    if path.suffix == ".csv":
        rows, _ = read_clip_list(path)
        records = [record_of_clip_name(str(row.clip), str(row.clip)) for row in rows]
    else:
        raw_records, _ = read_records(path)
        records = [_compared_record(record, root, f"{path.name}:{line}") for line, record in raw_records]
    if not any(record.name or record.words for record in records):
        raise DataError(f"{path}: no record names a clip or asks a question; give a manifest, a benchmark or a list")
    return records


def record_of_clip_name(
    ident: str, name: str, words: frozenset[str] = frozenset(), span: AudioSpan | None = None
) -> ComparedRecord:
    """The record of a clip, with the video id and the start that its name holds.

    An id is taken from `<id>_<start>` or AudioSet's `Y<id>`. An 11-character beginning without a capital letter or a
    digit ("speech_data") is taken for a word: one id in ten thousand looks like that.
    """
    clip = parse_clip_name(name)
    match = _AUDIOSET_ID.fullmatch(name) or _TIMED_ID.fullmatch(name)
    video, start_s = (clip.video, clip.start_s) if clip else (match[1] if match else "", None)
    if not re.search(r"[A-Z0-9]", video):
        video, start_s = "", None
    return ComparedRecord(ident, name, video, start_s, words, span)


def word_set(*texts: str) -> frozenset[str]:
    """The words of texts, in lower case."""
    return frozenset(word for text in texts for word in re.findall(r"\w+", text.casefold()))


def _compared_record(record: Record, root: Path, place: str) -> ComparedRecord:
    ident = next((str(record[key]) for key in ("id", "uniq_id", "video_name") if record.get(key) is not None), place)
    clip = _first_text(record, ("video_name", "audio", "audio_path", "audio_id", "path"))
    text = _first_text(record, ("text", "question", "question_text"))
    words = word_set(text, *(choice for choice in _choices(record) if isinstance(choice, str)))
    name = PurePosixPath(clip).name
    stem = name if "video_name" in record else PurePosixPath(name).stem
    compared = record_of_clip_name(ident, stem, words, _span(record, clip, root))
    url = _URL_ID.search(_first_text(record, ("url",)))
    return compared if compared.video or url is None else replace(compared, video=url[1])


def _choices(record: Record) -> Sequence[Any]:
    choices = record.get("choices", record.get("multi_choice"))
    return choices if isinstance(choices, list) else [record.get(f"choice_{letter}") for letter in "abcd"]


def _span(record: Record, clip: str, root: Path) -> AudioSpan | None:
    try:
        path = clip_path(clip, root)
    except RecordError:
        return None
    times = [record.get(key) for key in ("start_s", "end_s")]
    start_s, end_s = (float(value) if isinstance(value, int | float) else None for value in times)
    return AudioSpan(path, start_s or 0.0, end_s)


def _first_text(record: Record, keys: Sequence[str]) -> str:
    """The first of `keys` that holds a text that is not empty; "" for none."""
    return next((value for key in keys if isinstance(value := record.get(key), str) and value), "")
