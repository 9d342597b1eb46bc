"""Finds the sound of a record of another program: a file name, or the bytes of a file, under any of the usual keys.

A record that has a key of sound and no usable sound is an error and never a question without a clip, because training
on it would teach the model to answer unheard. sound_values.py reads a single value.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from harken.data.record_fields import key_about_sound, key_words
from harken.data.records import RecordError
from harken.errors import short_repr
from harken.prepare.sound_values import EmbeddedSound, Sound, sounds_in

SOUND_KEYS = (
    *("audio", "audios", "audio_path", "audio_paths", "audio_id", "audio_file", "audio_files", "audio_filepath"),
    *("audio_filename", "audio_file_path", "audio_name", "audio_url", "input_audio", "wav", "wavs", "wav_path"),
    *("wav_file", "sound", "sounds", "sound_path", "sound_file", "clip", "clips", "clip_path", "file", "file_name"),
    *("file_path", "path", "media", "media_path", "url"),
)
"""Keys under which data sets name a clip, in the order in which they are looked at. Capitals and what joins the
words do not count: `AudioPath` is `audio_path`."""
SOUND_SUFFIXES = frozenset(
    ["wav", "flac", "mp3", "ogg", "oga", "opus", "m4a", "aac", "wma", "aiff", "aif", "amr", "webm", "mp4", "mkv", "avi"]
)
_HINT = "name the clip, or give --text-only where questions without sound are meant"


def sounds_of(record: Mapping[str, Any], *first_keys: str, embedded_first: bool = False) -> list[Sound]:
    """The clips of a record.

    Keys that differ only in a number, such as `audio_1` and `audio_2`, hold the clips of one question. Where none of
    SOUND_KEYS gives sound, any other key may, if its value is the name of a sound file.

    Args:
        first_keys: keys of the format, which are looked at before SOUND_KEYS.
        embedded_first: a key that holds the bytes of a file goes before one that names a file.

    Returns:
        The clips under the first key that has any; [] where nothing in the record is about sound.

    Raises RecordError where a key of sound is there and no sound under any of them.
    """
    numbered = _numbered(tuple(record))
    fault: RecordError | None = None
    names: list[Sound] = []
    for name in _order(first_keys):
        keys = numbered.get(name)
        if keys is None:
            continue
        try:
            sounds = [sound for key in keys for sound in sounds_in(record[key], key)]
        except RecordError as error:
            fault = fault or error
            continue
        if sounds and (not embedded_first or all(isinstance(sound, EmbeddedSound) for sound in sounds)):
            return sounds
        names = names or sounds
        if not sounds:
            fault = fault or RecordError(f"{keys[0]}: holds no sound: {short_repr(record[keys[0]])}; {_HINT}")
    if names:
        return names
    named = [keys for keys in numbered.values() if all(_names_file(record[key]) for key in keys)]
    if len(named) == 1:
        return [sound for key in named[0] for sound in sounds_in(record[key], key)]
    if named:
        keys = ", ".join(repr(key) for keys in named for key in keys)
        raise RecordError(f"{keys}: name different sound files; name the question's clip 'audio'")
    if fault is not None:
        raise fault
    if (about_sound := key_about_sound(record)) is not None:
        raise RecordError(f"key {about_sound!r} is about sound, and the record names no clip; {_HINT}")
    return []


def _plain(key: str) -> str:
    return "".join(key_words(key))


@lru_cache(maxsize=64)
def _order(first_keys: tuple[str, ...]) -> tuple[str, ...]:
    """The plain names of keys, in the order in which they are looked at."""
    return tuple(dict.fromkeys(map(_plain, (*first_keys, *SOUND_KEYS))))


@lru_cache(maxsize=64)
def _numbered(keys: tuple[str, ...]) -> dict[str, list[str]]:
    """The keys of a record by their plain name, those with numbers in the order of these. Cached, because the records
    of a source have the same keys."""
    groups: dict[str, list[str]] = defaultdict(list)
    for key in sorted(keys, key=_number):
        groups[_plain(key)].append(key)
    return dict(groups)


def _number(key: str) -> tuple[int, str]:
    digits = re.search(r"[0-9]{1,9}", key)
    return (int(digits[0]) if digits else 0), key


def _names_file(value: Any) -> bool:
    if isinstance(value, str):
        name = value.strip()
        suffix = PurePosixPath(name.replace("\\", "/")).suffix[1:].lower() if len(name) < 1000 else ""
        return suffix in SOUND_SUFFIXES and "\n" not in name
    if isinstance(value, Mapping):
        return isinstance(value.get("bytes"), bytes) or _names_file(value.get("path"))
    return isinstance(value, list | tuple) and bool(value) and all(map(_names_file, value))
