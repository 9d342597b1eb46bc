"""Finds the sound of a record of another program: a file name, or the bytes of a file, under any of the usual keys.

A record that has such a key and no usable sound is an error and never a question without a clip, because training on
it would teach the model to answer unheard.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harken.data.records import RecordError
from harken.errors import short_repr

SOUND_KEYS = (
    *("audio", "audios", "audio_path", "audio_paths", "audio_id", "audio_file", "audio_filepath", "audio_url"),
    *(
        "wav",
        "wav_path",
        "wavs",
        "sound",
        "sounds",
        "sound_path",
        "clip",
        "file",
        "file_name",
        "filename",
        "path",
        "url",
    ),
)
"""Keys under which data sets name a record's clip, in the order in which they are looked at."""
_INNER_KEYS = ("path", "audio", "audio_url", "url", "filename")


@dataclass(frozen=True, slots=True)
class EmbeddedSound:
    """The bytes of a sound file inside a record, and its name, "" where the record gives none."""

    data: bytes
    name: str


Sound = str | EmbeddedSound
"""A clip as a record names it: a file name, or the file itself."""


def sounds_of(record: Mapping[str, Any], *first_keys: str) -> list[Sound]:
    """The clips of a record.

    Args:
        first_keys: keys of the format, which are looked at before SOUND_KEYS.

    Returns:
        The clips under the first key that has any; [] where the record has no key of sound at all.

    Raises RecordError where such a key is there and no sound under any of them.
    """
    empty: str | None = None
    for key in dict.fromkeys((*first_keys, *SOUND_KEYS)):
        if key not in record:
            continue
        sounds = _sounds(record[key], key)
        if sounds:
            return sounds
        empty = empty or f"{key}: holds no sound: {short_repr(record[key])}"
    if empty is not None:
        raise RecordError(f"{empty}; name the clip, or give --text-only where questions without sound are meant")
    return []


def _sounds(value: Any, key: str) -> list[Sound]:
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [_embedded(value, key)]
    if isinstance(value, list | tuple):
        return [sound for part in value for sound in _sounds(part, key)]
    raise RecordError(f"{key}: expected a file name or the bytes of a file, found {short_repr(value)}")


def _embedded(value: Mapping[str, Any], key: str) -> Sound:
    """`{bytes, path}`, as the Hub's column Audio holds a clip; the path alone where there are no bytes."""
    name = next((value[inner] for inner in _INNER_KEYS if isinstance(value.get(inner), str) and value[inner]), "")
    data = value.get("bytes")
    if isinstance(data, bytes) and data:
        return EmbeddedSound(data, name)
    if not name:
        raise RecordError(f"{key}: holds neither bytes nor a path: {short_repr(sorted(value))}")
    return name
