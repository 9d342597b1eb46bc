"""Find the media files of clips below a folder.

Every file below the folder counts whose name is that of a wanted clip in one of the spellings that downloaders use
(clip_source.py), in whatever layout the folder is; no file is opened. A name that does not say where the clip begins
is not used, because the file may be the whole video. `prepare avqa` and `prepare vggsound` read their clips from the
files of this index.
"""

import os
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from harken.prepare.clip_source import PATTERNS, file_source
from harken.prepare.data_card import CardTable, count_table

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".wma")
_SHOWN = 3
VIDEO_SUFFIXES = (".mp4", ".webm", ".mkv", ".mov", ".avi", ".flv", ".3gp", ".m4v", ".ts", ".mpg")


@dataclass(frozen=True, slots=True)
class MediaIndex:
    """The media files of clips.

    Attributes:
        file_of: one file for each clip. If a clip has several, audio is preferred to video, then the first path.
        n_spare: further files of clips that have one already.
        n_other: files that belong to no wanted clip, by their name or extension.
        unread: up to three media files whose name has no spelling that is read.
        n_unread: all of these.
        without_start: up to three media files of a wanted video whose name does not say where the clip begins.
        n_without_start: all of these.
    """

    file_of: dict[str, Path] = field(default_factory=dict)
    n_spare: int = 0
    n_other: int = 0
    unread: Sequence[str] = ()
    n_unread: int = 0
    without_start: Sequence[str] = ()
    n_without_start: int = 0


def index_media(folder: Path, wanted: Set[str]) -> MediaIndex:
    """Find the files of the wanted clips, `<id>_<start>`, below `folder`. A missing folder has none."""
    videos = {name[:-7] for name in wanted}
    paths_of: dict[str, list[Path]] = {}
    n_other = 0
    unread: list[str] = []
    without_start: list[str] = []
    for parent, _, file_names in os.walk(folder):
        for file_name in file_names:
            stem, suffix = os.path.splitext(file_name)
            is_media = suffix.lower() in AUDIO_SUFFIXES + VIDEO_SUFFIXES
            source = file_source(stem) if is_media else None
            clip = next((name for name in source.names if name in wanted), None) if source is not None else None
            if clip is not None:
                paths_of.setdefault(clip, []).append(Path(parent, file_name))
                continue
            n_other += 1
            if is_media and source is None:
                unread.append(file_name)
            elif source is not None and not source.starts_s and source.ident in videos:
                without_start.append(file_name)
    file_of = {clip: min(paths, key=_preference) for clip, paths in sorted(paths_of.items())}
    return MediaIndex(
        file_of,
        sum(len(paths) - 1 for paths in paths_of.values()),
        n_other,
        sorted(unread)[:_SHOWN],
        len(unread),
        sorted(without_start)[:_SHOWN],
        len(without_start),
    )


def media_notes(media: Path, index: MediaIndex) -> list[str]:
    """Sentences about files whose names could not be used, with the spellings that are read, if there are any."""
    notes = [] if media.is_dir() else [f"{media} is no folder, so no clip is there"]
    if index.n_unread:
        shown = "; ".join(f"{pattern.shown} ({pattern.example})" for pattern in PATTERNS)
        notes.append(
            f"{index.n_unread:,} media files have a name of no known spelling, for example {', '.join(index.unread)}. "
            f"These spellings are read: {shown}"
        )
    if index.n_without_start:
        notes.append(
            f"{index.n_without_start:,} files of wanted videos do not say where the clip begins and are not used, for "
            f"example {', '.join(index.without_start)}. Name them <id>_<start>"
        )
    return notes


def media_table(needed: int, index: MediaIndex, n_faulty: int | None = None) -> CardTable:
    """Count the clips that are needed, present and missing.

    Args:
        needed: different clips that the records need.
        n_faulty: clips whose file has no usable sound; None where the files were not read.
    """
    numbers = {"needed": needed, "present": len(index.file_of), "missing": needed - len(index.file_of)}
    if n_faulty is not None:
        numbers["present, no usable sound"] = n_faulty
    numbers |= {"further files of the same clips": index.n_spare, "files that are no clip of these": index.n_other}
    return count_table("Media of the records left after the text filters", numbers)


def _preference(path: Path) -> tuple[bool, str]:
    return path.suffix.lower() in VIDEO_SUFFIXES, str(path)
