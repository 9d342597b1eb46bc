"""Reads one value of a record as sound: a file name, the bytes of a file, or a list of these.

Bytes stand there as bytes, as base64 text, or as a data URI (`data:audio/wav;base64,...`), which ms-swift and chat
servers take. A value that is no sound, such as a null, gives none; one that cannot be used is an error that says why.
"""

import base64
import binascii
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from harken.data.records import RecordError
from harken.errors import short_repr

_INNER_KEYS = ("path", "audio", "audio_url", "url", "filename", "file", "src")
_NOTHING = frozenset(["", "none", "null", "nan", "n/a", "na"])
_LONGEST_NAME = 4096
_DATA_URI = re.compile(r"data:(?:[a-z]+/(?:x-)?([a-z0-9]+))?[^,]{0,200};base64,", re.IGNORECASE)
_ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")
_DRIVE = re.compile(r"[a-zA-Z]:[\\/]")


@dataclass(frozen=True, slots=True)
class EmbeddedSound:
    """The bytes of a sound file inside a record, and its name, "" where the record gives none."""

    data: bytes
    name: str


Sound = str | EmbeddedSound
"""A clip as a record names it: a file name, or the file itself."""


def sounds_in(value: Any, key: str) -> list[Sound]:
    """The sounds that the value of a key holds, in order; none for a null, a blank text or NaN.

    Raises RecordError for a value that is none of these and no sound, and for a list that holds both.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return []
    if isinstance(value, str):
        text = value.strip()
        return [] if text.lower() in _NOTHING else [_named(text, key)]
    if isinstance(value, bytes | bytearray | memoryview):
        return [EmbeddedSound(bytes(value), "")] if len(value) else []
    if isinstance(value, Mapping):
        return [_of_mapping(value, key)]
    if isinstance(value, list | tuple):
        parts = [sounds_in(part, key) for part in value]
        if any(parts) and not all(parts):
            raise RecordError(f"{key}: {parts.count([])} of {len(parts)} entries hold no sound: {short_repr(value)}")
        return [sound for part in parts for sound in part]
    raise RecordError(f"{key}: expected a file name or the bytes of a file, found {short_repr(value)}")


def _named(text: str, key: str) -> Sound:
    """A file name, or the sound that a text holds."""
    if ":" in text[:300]:
        if match := _DATA_URI.match(text[:300]):
            return EmbeddedSound(_decoded(text[match.end() :], key), f".{match[1].lower()}" if match[1] else "")
        if match := _ADDRESS.match(text):
            if match[1].lower() == "file":
                return unquote(text[match.end() :].removeprefix("localhost"))
            raise RecordError(f"{key}: {short_repr(text)} is an address: download the clip and name its file")
    if text.startswith("\\\\") or _DRIVE.match(text):
        raise RecordError(f"{key}: {short_repr(text)} is a path of Windows: name the clip relative to --audio-root")
    if len(text) > _LONGEST_NAME:
        return EmbeddedSound(_decoded(text, key), "")
    return text


def _of_mapping(value: Mapping[str, Any], key: str) -> Sound:
    """`{bytes, path}`, as the Hub's column Audio holds a clip, or `{data, format}`, as chat servers take it; the path
    alone where there are no bytes."""
    inner = next((value[name] for name in _INNER_KEYS if value.get(name)), None)
    data = next((value[name] for name in ("bytes", "data", "base64") if value.get(name)), None)
    if isinstance(data, str):
        sound = _named(data, key) if data.startswith("data:") else _decoded(data, key)
        data = sound.data if isinstance(sound, EmbeddedSound) else sound
    if isinstance(data, list) and all(type(number) is int and 0 <= number < 256 for number in data):
        data = bytes(data)
    if isinstance(data, bytes | bytearray) and data:
        suffix = value.get("format")
        return EmbeddedSound(bytes(data), inner if isinstance(inner, str) else f".{suffix}" if suffix else "")
    sounds = sounds_in(inner, key)
    if len(sounds) != 1:
        samples = ", only samples: write a file of them" if value.get("array") is not None else ""
        raise RecordError(f"{key}: holds neither bytes nor a path{samples}: {short_repr(sorted(map(str, value)))}")
    return sounds[0]


def _decoded(text: str, key: str) -> bytes:
    """The bytes of base64 text."""
    try:
        return base64.b64decode(re.sub(r"\s", "", text), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RecordError(f"{key}: expected a file name or base64, found {len(text):,} other characters") from error
