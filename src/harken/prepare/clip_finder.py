"""Finds the clip of a record of another program: a file inside the audio root, or a file inside the record itself.

Sound that stands inside a record, as in a parquet file of the Hub or a WebDataset tar, is written out once, under a
name made of its content.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harken.data.record_fields import clip_path
from harken.data.records import RecordError
from harken.errors import short_repr
from harken.prepare.sound_fields import sounds_of
from harken.prepare.sound_values import EmbeddedSound
from harken.system.files import replacing
from harken.types import AudioSpan

_MAGIC = ((b"RIFF", ".wav"), (b"RF64", ".wav"), (b"fLaC", ".flac"), (b"OggS", ".ogg"), (b"ID3", ".mp3"))


class ClipFinder:
    """The clips of a source.

    Args:
        audio_root: the folder that names are relative to; None where every record holds its sound itself.
        folder: where sound that stands inside records is written.
        text_only: give no record a clip, whatever it names.
    """

    def __init__(self, audio_root: Path | None, folder: Path, *, text_only: bool = False) -> None:
        self.text_only = text_only
        self._audio_root, self._folder = audio_root, folder
        self._absolute_root = "" if audio_root is None else os.path.abspath(audio_root)

    def find(self, record: Mapping[str, Any], *first_keys: str) -> tuple[AudioSpan, ...]:
        """The clips of a record, in order; () for a record that has no key of sound.

        Args:
            first_keys: keys of the format, which are looked at before the usual ones.

        Raises RecordError where such a key is there and gives no clip.
        """
        if self.text_only:
            return ()
        sounds = sounds_of(record, *first_keys, embedded_first=self._audio_root is None)
        return tuple(
            AudioSpan(self._written(sound) if isinstance(sound, EmbeddedSound) else self._inside(sound))
            for sound in sounds
        )

    def _inside(self, name: str) -> Path:
        """The file of a name that is relative to the root, or an absolute path inside it."""
        if self._audio_root is None:
            raise RecordError(f"names the clip {short_repr(name)}, and --audio-root does not say in which folder it is")
        if name.startswith("~/"):
            name = os.path.expanduser(name)
        if "\\" in name and not os.path.exists(os.path.join(self._audio_root, name)):
            name = name.replace("\\", "/")
        if os.path.isabs(name):
            name = os.path.relpath(name, self._absolute_root)
        return clip_path(name, self._audio_root)

    def _written(self, sound: EmbeddedSound) -> Path:
        if self._audio_root is not None:
            raise RecordError("holds its sound itself, and --audio-root is given: leave --audio-root out")
        digest = hashlib.sha256(sound.data).hexdigest()
        target = self._folder / f"{_stem(sound.name)}{digest[:16]}{_suffix(sound)}"
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as temporary:
                temporary.write_bytes(sound.data)
        return target


def _stem(name: str) -> str:
    """The readable part of a name from outside, kept so that the leak check can read where a clip comes from."""
    if name.startswith("."):
        return ""
    stem = re.sub(r"[^\w\[\]().-]+", "_", Path(name.replace("\\", "/")).stem)[:80].lstrip(".")
    return f"{stem}." if stem else ""


def _suffix(sound: EmbeddedSound) -> str:
    suffix = Path("x" + sound.name.replace("\\", "/").rsplit("/", 1)[-1]).suffix.lower()
    if re.fullmatch(r"\.[a-z0-9]{2,5}", suffix):
        return suffix
    return next((known for magic, known in _MAGIC if sound.data.startswith(magic)), ".bin")
