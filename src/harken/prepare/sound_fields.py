"""Finds the sound of a record of another program: a file name, or the bytes of a file, under any of the usual keys.

A record that has a key of sound and no usable sound is an error and never a question without a clip, because training
on it would teach the model to answer unheard. sound_values.py reads a single value.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

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
_SOUND_WORDS = frozenset(["audio", "audios", "wav", "wavs", "waveform", "sound", "sounds"])
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
    numbered: dict[str, list[str]] = defaultdict(list)
    for key in record:
        numbered[_plain(key)].append(key)
    fault: RecordError | None = None
    names: list[Sound] = []
    for name in dict.fromkeys(map(_plain, (*first_keys, *SOUND_KEYS))):
        keys = sorted(numbered.get(name, ()), key=_number)
        try:
            sounds = [sound for key in keys for sound in sounds_in(record[key], key)]
        except RecordError as error:
            fault = fault or error
            continue
        if sounds and (not embedded_first or all(isinstance(sound, EmbeddedSound) for sound in sounds)):
            return sounds
        names = names or sounds
        if keys:
            fault = fault or RecordError(f"{keys[0]}: holds no sound: {short_repr(record[keys[0]])}; {_HINT}")
    if names:
        return names
    named = {name: sorted(keys, key=_number) for name, keys in numbered.items() if _all_name_files(record, keys)}
    if len(named) == 1:
        return [sound for keys in named.values() for key in keys for sound in sounds_in(record[key], key)]
    if named:
        keys = ", ".join(repr(key) for keys in named.values() for key in keys)
        raise RecordError(f"{keys}: name different sound files; name the question's clip 'audio'")
    if fault is not None:
        raise fault
    if about_sound := next((key for key in record if not _SOUND_WORDS.isdisjoint(_words(key))), None):
        raise RecordError(f"key {about_sound!r} is about sound, and the record names no clip; {_HINT}")
    return []


@lru_cache(maxsize=1024)
def _words(key: str) -> tuple[str, ...]:
    """The words of a key, without capitals and numbers."""
    return tuple(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()))


@lru_cache(maxsize=1024)
def _plain(key: str) -> str:
    return "".join(_words(key))


def _number(key: str) -> tuple[int, str]:
    digits = re.search(r"[0-9]{1,9}", key)
    return (int(digits[0]) if digits else 0), key


def _all_name_files(record: Mapping[str, Any], keys: Sequence[str]) -> bool:
    """Whether the values under keys, which differ in a number only, are names of sound files or hold a sound file."""
    return all(_names_file(record[key]) for key in keys)


def _names_file(value: Any) -> bool:
    if isinstance(value, str):
        name = value.strip()
        suffix = PurePosixPath(name.replace("\\", "/")).suffix[1:].lower() if len(name) < 1000 else ""
        return suffix in SOUND_SUFFIXES and "\n" not in name
    if isinstance(value, Mapping):
        return isinstance(value.get("bytes"), bytes) or _names_file(value.get("path"))
    return isinstance(value, list | tuple) and bool(value) and all(map(_names_file, value))
