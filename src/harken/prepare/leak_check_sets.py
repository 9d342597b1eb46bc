"""Read sets of any known format as records that the leak rules (leaks.py) can compare.

A `ComparedRecord` holds what the rules look at: the name of the clip, the recording it was cut from, the clip itself,
and the words of the question. Training sets and benchmarks are read by the same function, record after record.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from harken.data.record_fields import clip_path
from harken.data.records import Record, RecordError, iter_records
from harken.errors import DataError
from harken.prepare.clip_lists import ID_COLUMNS, START_COLUMNS, column_names, list_rows
from harken.prepare.clip_source import VIDEO_ID, ClipSource, clip_source, file_source, listed_source
from harken.prepare.sound_fields import SOUND_SUFFIXES, sounds_of
from harken.types import AudioSpan, Rejected

_URL_ID = re.compile(rf"(?:[?&]v=|youtu\.be/|/shorts/|/embed/)({VIDEO_ID})")
_END_KEYS = ("end_time", "end_seconds", "end_second", "end", "time_end")
_ADDRESS_KEYS = ("url", "youtube_url", "video_url")
_LISTED_ID = re.compile(f"Y?({VIDEO_ID})")
_SECONDS = re.compile(r"\s*\d{1,6}(\.\d+)?\s*")
_WORD = re.compile(r"\w+")
_NO_WORDS: frozenset[str] = frozenset()


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

    @property
    def root(self) -> Path:
        return self.file.parent if self.audio_root is None else self.audio_root

    def records(self) -> Iterator[ComparedRecord]:
        """Read the records (`compared_records`)."""
        return compared_records(self.file, self.audio_root)

    def spans(self) -> Iterator[AudioSpan]:
        """The clips of the records, as `records` gives them, and nothing else."""
        for _, record in _raw_records(self.file):
            for clip in _clips_of(record):
                if (span := _span(record, clip, self.root)) is not None:
                    yield span


def compared_records(path: Path, audio_root: Path | None = None) -> Iterator[ComparedRecord]:
    """Read a manifest, a benchmark, the records of other programs, or a CSV list of clips, one record for each clip.

    The columns of a CSV list are named in its first row (AudioCaps', AudioSet's), or its first column is the clip's
    name (VGGSound's two forms). A record of another form has neither clip nor words, and matches nothing.

    Raises DataError where the file cannot be read, and at its end where no record had a clip or a question.
    """
    root = path.parent if audio_root is None else audio_root
    tells_anything = False
    for place, record in _raw_records(path):
        for compared in _compared_records(record, root, place):
            tells_anything = tells_anything or compared.names_clip or bool(compared.words)
            yield compared
    if not tells_anything:
        raise DataError(f"{path}: no record names a clip or asks a question; give a manifest, a benchmark or a list")


def record_of_clip_name(
    ident: str,
    name: str,
    words: frozenset[str] = _NO_WORDS,
    span: AudioSpan | None = None,
    *,
    listed: bool = False,
) -> ComparedRecord:
    """The record of a clip, with the recording and the part that its name says; `listed` says that the name is one of
    a list of ids, whatever it looks like."""
    source = listed_source(name) if listed else None
    return ComparedRecord(ident, name, source or _named_source(name), words, span)


def word_set(*texts: str) -> frozenset[str]:
    """The words of texts, in lower case."""
    return frozenset(_WORD.findall("\n".join(texts).casefold()))


_named_source = lru_cache(maxsize=4096)(clip_source)
"""Questions about one clip often stand together."""


def _raw_records(path: Path) -> Iterator[tuple[str, Record]]:
    """(place, record) pairs."""
    if path.suffix == ".csv":
        for row in list_rows(path):
            yield f"{path.name}:{row.line}", _list_record(row.cells)
        return
    for outcome in iter_records(path):
        if not isinstance(outcome, Rejected):
            yield f"{path.name}:{outcome.line}", outcome.record


def _list_record(cells: Mapping[str, str]) -> Record:
    """A row of a list as a record: with the columns of the id, or with the clip's name."""
    if _first_text(cells, ID_COLUMNS):
        return dict(cells)
    name = _first_text(cells, ("video_name",)).strip()
    if name:
        stem = posixpath.splitext(posixpath.basename(name))[0]
        return {"id": stem, "video_name": stem}
    named = _first_text(cells, ("file_name", "filename", "audio", "audio_path", "id"))
    return {"id": named, "audio": named}


def _compared_records(record: Record, root: Path, place: str) -> Sequence[ComparedRecord]:
    """One for each clip of a record; one without a clip for a record that names none."""
    ident = next((str(record[key]) for key in ("id", "uniq_id", "video_name") if record.get(key) is not None), place)
    text = _first_text(record, ("text", "question", "question_text"))
    words = word_set(text, *(choice for choice in _choices(record) if isinstance(choice, str)))
    return [_compared_clip(ident, clip, record, words, root) for clip in _clips_of(record)]


def _clips_of(record: Record) -> Sequence[str]:
    """The names of a record's clips; "" alone where it names none."""
    try:
        clips = [sound for sound in sounds_of(record) if isinstance(sound, str)]
    except RecordError:
        clips = []
    if "video_name" in record:
        return [_first_text(record, ("video_name",)) or next(iter(clips), "")]
    return clips or [""]


def _compared_clip(ident: str, clip: str, record: Record, words: frozenset[str], root: Path) -> ComparedRecord:
    name = posixpath.basename(clip)
    listed = "video_name" in record  # AVQA's and VGGSound's names are ids, whatever they look like
    bare, ending = posixpath.splitext(name)
    stem = name if listed and ending[1:].lower() not in SOUND_SUFFIXES else bare
    source = _stated_source(record, stem) or _named_source(stem)
    if source is None and listed:
        source = file_source(stem)
    return ComparedRecord(ident, stem, source, words, _span(record, clip, root))


def _stated_source(record: Record, stem: str) -> ClipSource | None:
    """The recording that keys of their own state, as AudioCaps' `youtube_id` and `start_time`, or an address where the
    clip's name says nothing."""
    if not _states_source(tuple(record)):
        return None
    keys = dict(zip(column_names(tuple(record)), record.values(), strict=True))
    ident = _first_text(keys, ID_COLUMNS)
    if match := _LISTED_ID.fullmatch(ident):
        start_s, end_s = _number(keys, START_COLUMNS), _number(keys, _END_KEYS)
        return ClipSource("youtube", match[1], () if start_s is None else (start_s,), end_s)
    url = _URL_ID.search(_first_text(record, _ADDRESS_KEYS))
    return ClipSource("youtube", url[1]) if url is not None and _named_source(stem) is None else None


@lru_cache(maxsize=256)
def _states_source(keys: tuple[str, ...]) -> bool:
    return not set(column_names(keys)).isdisjoint((*ID_COLUMNS, *_ADDRESS_KEYS))


def _number(record: Mapping[str, Any], keys: Sequence[str]) -> float | None:
    for key in keys:
        value = record.get(key)
        if isinstance(value, int | float) or (isinstance(value, str) and _SECONDS.fullmatch(value)):
            return float(value)
    return None


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
