"""Find the media files of clips below a folder.

Every file below the folder whose name is that of a wanted clip counts, in whatever layout the folder is; no file is
opened. `prepare avqa` and `prepare vggsound` cut their clips from the files of this index.
"""

import os
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from harken.prepare.clip_names import ClipName, parse_clip_name
from harken.prepare.data_card import CardTable, count_table

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".wma")
VIDEO_SUFFIXES = (".mp4", ".webm", ".mkv", ".mov", ".avi", ".flv", ".3gp", ".m4v", ".ts", ".mpg")


@dataclass(frozen=True, slots=True)
class MediaIndex:
    """The media files of clips.

    Attributes:
        file_of: one file for each clip. If a clip has several, audio is preferred to video, then the first path.
        n_spare: further files of clips that have one already.
        n_other: files that belong to no wanted clip, by their name or extension.
    """

    file_of: dict[ClipName, Path] = field(default_factory=dict)
    n_spare: int = 0
    n_other: int = 0


def index_media(folder: Path, wanted: Container[ClipName]) -> MediaIndex:
    """Find the files of the wanted clips below `folder`. A missing folder has none."""
    paths_of: dict[ClipName, list[Path]] = {}
    n_other = 0
    for parent, _, file_names in os.walk(folder):
        for file_name in file_names:
            stem, suffix = os.path.splitext(file_name)
            clip = parse_clip_name(stem) if suffix.lower() in AUDIO_SUFFIXES + VIDEO_SUFFIXES else None
            if clip is None or clip not in wanted:
                n_other += 1
            else:
                paths_of.setdefault(clip, []).append(Path(parent, file_name))
    file_of = {clip: min(paths, key=_preference) for clip, paths in sorted(paths_of.items())}
    return MediaIndex(file_of, sum(len(paths) - 1 for paths in paths_of.values()), n_other)


def sound_files(folder: Path) -> dict[str, str]:
    """Clip name in the padded form -> name of its sound file, for the files directly inside `folder`."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    clips = [(parse_clip_name(Path(name).stem), name) for name in names if Path(name).suffix in AUDIO_SUFFIXES]
    return {str(clip): name for clip, name in clips if clip is not None}


def media_table(wanted: Iterable[ClipName], index: MediaIndex, n_faulty: int | None = None) -> CardTable:
    """Count the clips that are needed, present and missing.

    Args:
        n_faulty: clips whose file has no usable sound; None where the files were not read.
    """
    needed = len(set(wanted))
    numbers = {"needed": needed, "present": len(index.file_of), "missing": needed - len(index.file_of)}
    if n_faulty is not None:
        numbers["present, no usable sound"] = n_faulty
    numbers |= {"further files of the same clips": index.n_spare, "files that are no clip of these": index.n_other}
    return count_table("Media of the records left after the text filters", numbers)


def _preference(path: Path) -> tuple[bool, str]:
    return path.suffix.lower() in VIDEO_SUFFIXES, str(path)
