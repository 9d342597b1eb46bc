"""Reads single fields of a record: texts, labels, choices, answers and clip names.

Readers of all formats use these functions. Each raises RecordError for a value that cannot be used; the message names
the field and the value.
"""

import posixpath
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from harken.data.records import Record, RecordError
from harken.errors import short_repr
from harken.types import AudioSpan, Criterion

_SOUND_WORDS = frozenset(["audio", "audios", "wav", "wavs", "waveform", "sound", "sounds"])


def text_field(record: Record, key: str) -> str:
    """The text under a key that the record must have; a blank text is refused."""
    if key not in record:
        raise RecordError(f"key {key!r} is missing")
    value = record[key]
    if not isinstance(value, str):
        raise RecordError(f"{key}: expected text, found {short_repr(value)}")
    if not value.strip():
        raise RecordError(f"{key}: empty text {short_repr(value)}")
    return value


def label_field(record: Record, *keys: str) -> str:
    """The text under the first of `keys` that has one; a list of texts is joined by commas. "" where no key has any."""
    for key in keys:
        value = record.get(key)
        if isinstance(value, str):
            return value
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            return ", ".join(value)
        if value is not None:
            raise RecordError(f"{key}: expected text, found {short_repr(value)}")
    return ""


def choices_field(record: Record, key: str = "choices") -> tuple[str, ...]:
    """Two or more texts as they stand in the record; at least two of them must differ."""
    if key not in record:
        raise RecordError(f"key {key!r} is missing")
    value = record[key]
    if not isinstance(value, list):
        raise RecordError(f"{key}: expected a list of texts, found {short_repr(value)}")
    for choice in value:
        if not isinstance(choice, str) or not choice.strip():
            raise RecordError(f"{key}: expected texts that are not empty, found {short_repr(choice)}")
    if len({choice.strip() for choice in value}) < 2:
        raise RecordError(f"{key}: fewer than two different choices: {short_repr(value)}")
    return tuple(value)


def rubric_field(record: Record, key: str, *, rule: str, scores: str) -> tuple[Criterion, ...]:
    """The criteria under a key, each an object with a name; () where the record has none.

    Args:
        rule, scores: what an object calls its rule and the whole numbers that a judge may give.
    """
    value = record.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(point, dict) for point in value):
        raise RecordError(f"{key}: expected a list of points, found {short_repr(value)}")
    criteria = []
    for point in value:
        allowed = point.get(scores)
        if not isinstance(allowed, list) or not allowed or any(type(n) is not int or n < 0 for n in allowed):
            raise RecordError(f"{key}: {scores}: expected whole numbers, found {short_repr(allowed)}")
        criteria.append(Criterion(text_field(point, "name"), text_field(point, rule), tuple(allowed)))
    return tuple(criteria)


def find_answer(answer: str, choices: Sequence[str]) -> int | None:
    """Index of the choice with this text: first the exact text counts, then the text without spaces at its edges.

    The first such choice where several have the text; None where no choice has it.
    """
    if answer in choices:
        return choices.index(answer)
    stripped = [choice.strip() for choice in choices]
    return stripped.index(answer.strip()) if answer.strip() in stripped else None


def answer_index(answer: str, choices: Sequence[str]) -> int:
    """Index as in `find_answer`. Raises RecordError where no choice has this text."""
    index = find_answer(answer, choices)
    if index is None:
        raise RecordError(
            f"answer {short_repr(answer)} is not one of the {len(choices)} choices {short_repr(list(choices))}"
        )
    return index


def key_about_sound(record: Mapping[str, Any]) -> str | None:
    """The first key of a record that speaks of sound, such as `audioPath` or `wav`; None where there is none."""
    return next((key for key in record if not _SOUND_WORDS.isdisjoint(key_words(key))), None)


@lru_cache(maxsize=1024)
def key_words(key: str) -> tuple[str, ...]:
    """The words of a key, without capitals and numbers: `audioPath_2` is audio, path."""
    return tuple(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()))


def clips_field(record: Record, value: object, audio_root: Path) -> tuple[AudioSpan, ...]:
    """The files that a clip name or a list of names in a record means, in order; none where it is null.

    Raises RecordError where it names none and the record has a key about sound: it is then no question without a clip.
    """
    names = value if isinstance(value, list) else [] if value is None else [value]
    if not names and (key := key_about_sound(record)) is not None:
        raise RecordError(f"names no clip, though it has the key {key!r}")
    return tuple(AudioSpan(clip_path(name, audio_root)) for name in names)


def clip_path(name: object, audio_root: Path) -> Path:
    """The file that a clip name means. Data sets come from strangers, so a name may not lead out of `audio_root`."""
    if not isinstance(name, str):
        raise RecordError(f"clip name: expected text, found {short_repr(name)}")
    return _clip_path(name, audio_root)


@lru_cache(maxsize=32_768)
def _clip_path(name: str, audio_root: Path) -> Path:
    """Questions about one clip share its path, which takes as much memory as the rest of a question."""
    relative = posixpath.normpath(name)
    if relative == "." or "\0" in name:
        raise RecordError(f"clip name {short_repr(name)} is not a file name")
    if posixpath.isabs(relative) or relative.split("/")[0] == "..":
        raise RecordError(f"clip name {short_repr(name)} is outside audio_root {audio_root}")
    return audio_root / relative
