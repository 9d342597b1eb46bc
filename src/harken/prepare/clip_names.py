"""Names of clips cut from videos, and where their files lie.

Takes names as data sets and folders spell them (`<id>_<start second>`, the start padded to six digits or not, with or
without an extension), gives one `ClipName`. The id has 11 characters and may begin with `-` or `_` and hold more of
them, so it is taken by length, never by splitting. Not taken: a list of folder layouts; every file below the media
folder whose name is a clip's counts, wherever it lies.
"""

import os
import re
from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".wma")
VIDEO_SUFFIXES = (".mp4", ".webm", ".mkv", ".mov", ".avi", ".flv", ".3gp", ".m4v", ".ts", ".mpg")
_SUFFIXES = AUDIO_SUFFIXES + VIDEO_SUFFIXES
_NAME = re.compile(r"([A-Za-z0-9_-]{11})_([0-9]{1,6})")


@dataclass(frozen=True, slots=True, order=True)
class ClipName:
    """A clip: the video's id and the second it begins at."""

    video: str
    start_s: int

    def __str__(self) -> str:
        """The padded form, `9bZkp7q19f0_000030`."""
        return f"{self.video}_{self.start_s:06d}"


@dataclass(frozen=True, slots=True)
class MediaIndex:
    """Files of clips.

    Attributes:
        file_of: the one file of each clip. Of several the first counts: audio before video, then by path.
        n_spare: further files of clips that have one already.
        n_other: files that are no clip's, by name or by extension, or of clips not asked for.
    """

    file_of: dict[ClipName, Path] = field(default_factory=dict)
    n_spare: int = 0
    n_other: int = 0


def parse_clip_name(name: str) -> ClipName | None:
    """`9bZkp7q19f0_000030`, `9bZkp7q19f0_30` -> the clip; None for any other text, so also for one with a path."""
    found = _NAME.fullmatch(name)
    return ClipName(found[1], int(found[2])) if found else None


def index_media(folder: Path, wanted: Container[ClipName]) -> MediaIndex:
    """Find the files of the wanted clips below `folder`, by name; no file is opened. An absent folder holds none."""
    found: dict[ClipName, list[Path]] = {}
    n_other = 0
    for place, _, files in os.walk(folder):
        for file in files:
            stem, suffix = os.path.splitext(file)
            clip = parse_clip_name(stem) if suffix.lower() in _SUFFIXES else None
            if clip is None or clip not in wanted:
                n_other += 1
            else:
                found.setdefault(clip, []).append(Path(place, file))
    file_of = {clip: min(paths, key=_preference) for clip, paths in sorted(found.items())}
    return MediaIndex(file_of, sum(len(paths) - 1 for paths in found.values()), n_other)


def clip_files(folder: Path) -> dict[str, str]:
    """Name of the sound file of each clip directly inside `folder`, by the clip's name in the padded form."""
    files = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    named = [(parse_clip_name(Path(file).stem), file) for file in files if Path(file).suffix in AUDIO_SUFFIXES]
    return {str(clip): file for clip, file in named if clip is not None}


def _preference(path: Path) -> tuple[bool, str]:
    return path.suffix.lower() in VIDEO_SUFFIXES, str(path)
