"""Read sets of any known format as records that the leak rules (leaks.py) can compare.

A `ComparedRecord` holds what the rules look at: the name of the clip, the recording it was cut from, the clip itself,
and the words of the question. Training sets and benchmarks are read by the same function.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harken.data.record_fields import clip_path
from harken.data.records import Record, RecordError, read_records
from harken.errors import DataError
from harken.prepare.clip_source import ClipSource, clip_source
from harken.prepare.sound_fields import SOUND_KEYS, sounds_of
from harken.types import AudioSpan

_URL_ID = re.compile(r"(?:[?&]v=|youtu\.be/|/shorts/|/embed/)([A-Za-z0-9_-]{11})")
_ID_KEYS = ("youtube_id", "youtubeid", "ytid", "yt_id", "video_id", "videoid")
_START_KEYS = ("start_time", "start_seconds", "start_second", "start", "time_start")
_END_KEYS = ("end_time", "end_seconds", "end_second", "end", "time_end")
_NAME_KEYS = ("video_name", *_ID_KEYS, "file_name", "filename", "audio", "audio_path", "id")


@dataclass(frozen=True, slots=True)
class ComparedRecord:
    """One record as the rules see it.

    Attributes:
        name: file name of the clip without folder and extension; "" for none.
        source: the recording that the clip was cut from; None where it is unknown.
        words: of the question and its choices.
        span: the clip, if the record names one.
    """

    id: str
    name: str
    source: ClipSource | None
    words: frozenset[str]
    span: AudioSpan | None = None

    @property
    def names_clip(self) -> bool:
        """Whether the record is about a clip at all."""
        return bool(self.name) or self.source is not None


@dataclass(frozen=True, slots=True)
class ComparedSet:
    """A training set or a benchmark to compare: its file, and the folder of its clips (default: the file's folder)."""

    file: Path
    audio_root: Path | None = None


def read_compared_records(path: Path, audio_root: Path | None = None) -> list[ComparedRecord]:
    """Read a manifest, a benchmark, the records of other programs, or a CSV list of clips.

    The columns of a CSV list are named in its first row (AudioCaps', AudioSet's), or its first column is the clip's
    name (VGGSound's two forms). A record of another form has neither clip nor words, and matches nothing.

    Raises DataError where the file cannot be read, or has no record with a clip or a question.
    """
    root = path.parent if audio_root is None else audio_root
    if path.suffix == ".csv":
        records = [_compared_record(record, root, place) for place, record in _csv_records(path)]
    else:
        raw_records, _ = read_records(path)
        places = [(f"{path.name}:{line}", record) for line, record in raw_records]
        records = [compared for place, record in places for compared in _compared_records(record, root, place)]
    if not any(record.names_clip or record.words for record in records):
        raise DataError(f"{path}: no record names a clip or asks a question; give a manifest, a benchmark or a list")
    return records


def record_of_clip_name(
    ident: str, name: str, words: frozenset[str] = frozenset(), span: AudioSpan | None = None
) -> ComparedRecord:
    """The record of a clip, with the recording and the part that its name says."""
    return ComparedRecord(ident, name, clip_source(name), words, span)


def word_set(*texts: str) -> frozenset[str]:
    """The words of texts, in lower case."""
    return frozenset(word for text in texts for word in re.findall(r"\w+", text.casefold()))


def _compared_records(record: Record, root: Path, place: str) -> list[ComparedRecord]:
    """One for each clip of a record; one without a clip for a record that names none."""
    try:
        clips = [sound for sound in sounds_of(record) if isinstance(sound, str)]
    except RecordError:
        clips = []
    if len(clips) < 2 or "video_name" in record:
        return [_compared_record(record, root, place)]
    bare = {key: value for key, value in record.items() if key not in SOUND_KEYS}
    return [_compared_record({**bare, "audio": clip}, root, place) for clip in clips]


def _compared_record(record: Record, root: Path, place: str) -> ComparedRecord:
    ident = next((str(record[key]) for key in ("id", "uniq_id", "video_name") if record.get(key) is not None), place)
    clip = _first_text(record, ("video_name",)) or _first_clip(record)
    text = _first_text(record, ("text", "question", "question_text"))
    words = word_set(text, *(choice for choice in _choices(record) if isinstance(choice, str)))
    name = PurePosixPath(clip).name
    stem = name if "video_name" in record else PurePosixPath(name).stem
    source = _stated_source(record) or clip_source(stem)
    if source is None and "video_name" in record:  # AVQA's and VGGSound's names are ids, whatever they look like
        source = clip_source(stem, doubtful=True)
    return ComparedRecord(ident, stem, source, words, _span(record, clip, root))


def _first_clip(record: Record) -> str:
    try:
        return next((sound for sound in sounds_of(record) if isinstance(sound, str)), "")
    except RecordError:
        return ""


def _stated_source(record: Record) -> ClipSource | None:
    """The recording that keys of their own state, as AudioCaps' `youtube_id` and `start_time`, or an address."""
    keys = {key.casefold().strip("# "): value for key, value in record.items()}
    ident = _first_text(keys, _ID_KEYS)
    if re.fullmatch(r"Y?[A-Za-z0-9_-]{11}", ident):
        start_s, end_s = _number(keys, _START_KEYS), _number(keys, _END_KEYS)
        return ClipSource("youtube", ident[-11:], () if start_s is None else (start_s,), end_s)
    url = _URL_ID.search(_first_text(record, ("url", "youtube_url", "video_url")))
    named = clip_source(PurePosixPath(_first_clip(record)).stem)
    return ClipSource("youtube", url[1]) if url is not None and named is None else None


def _number(record: Mapping[str, Any], keys: Sequence[str]) -> float | None:
    for key in keys:
        value = record.get(key)
        if isinstance(value, int | float) or (isinstance(value, str) and re.fullmatch(r"\s*\d{1,6}(\.\d+)?\s*", value)):
            return float(value)
    return None


def _csv_records(path: Path) -> Iterator[tuple[str, Record]]:
    """Yield (place, record) of a CSV list. Lines that begin with `#` are comments, except a header."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, skipinitialspace=True)
            header: list[str] | None = None
            for cells in filter(None, reader):
                names = [cell.casefold().strip("# ") for cell in cells]
                if header is None and set(names) & set(_NAME_KEYS):
                    header = names
                elif not cells[0].startswith("#"):
                    yield f"{path.name}:{reader.line_num}", _csv_record(cells, header)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV list of clips in UTF-8: {error}") from error


def _csv_record(cells: Sequence[str], header: Sequence[str] | None) -> Record:
    """A row by the names of its columns; without names it is VGGSound's `name,label` or `id,start,label,split`."""
    if header is not None:
        row: Record = dict(zip(header, cells, strict=False))
        named = row.get("file_name") or row.get("filename") or row.get("audio") or row.get("id")
        return row if _first_text(row, _ID_KEYS) else {"id": named, "audio": named}
    name = f"{cells[0].strip()}_{cells[1].strip()}" if len(cells) == 4 else cells[0].strip()
    return {"id": PurePosixPath(name).stem, "video_name": PurePosixPath(name).stem}


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


def _first_text(record: Mapping[str, Any], keys: Sequence[str]) -> str:
    """The first of `keys` that holds a text that is not empty; "" for none."""
    return next((value for key in keys if isinstance(value := record.get(key), str) and value), "")
