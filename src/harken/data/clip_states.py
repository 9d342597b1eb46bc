"""Binds a run or an evaluation to the clips that it hears: what `clips.jsonl` in its folder holds.

{file, size, mtime_ns} of every clip, and its sha256 where that was asked for
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harken.config.differences import how_changed
from harken.system.file_states import FileState, file_state, is_same_file
from harken.types import Question

COPIED = (
    "Clips that were only copied have other times of change. Where their hashes were recorded (data.hash_clips: true "
    "when the run began, or in a resume before the copy), contents count and not times"
)


def clip_states(questions: Iterable[Question], *, hashed: bool) -> list[FileState]:
    """Raises DataError where a clip cannot be read."""
    clips = sorted({str(span.path) for question in questions for span in question.audio_spans})
    return [{"file": clip, **file_state(Path(clip), hashed=hashed)} for clip in clips]


def clip_differences(stored: Sequence[Mapping[str, Any]], current: Sequence[FileState]) -> list[str]:
    """`clip NAME: changed` for each clip that is new, gone or changed.

    Where no clip lies where one lay, the set was moved as a whole, and clips are compared by their place in it.
    """
    moved = not {row.get("file") for row in stored} & {row["file"] for row in current}
    before, now = (_by_name(rows, moved) for rows in (stored, current))
    lines = []
    for name in {**before, **now}:
        old, new = before.get(name), now.get(name)
        if old is None or new is None:
            lines.append(f"clip {name}: {how_changed(old, new)}")
        elif not is_same_file(old, new, Path(new["file"])):
            lines.append(f"clip {name}: changed")
    return lines


def _by_name(rows: Sequence[Any], moved: bool) -> dict[str, Any]:
    names = [str(row.get("file")) for row in rows]
    if moved and names:
        root = os.path.commonpath([os.path.dirname(os.path.abspath(name)) for name in names])
        names = [os.path.relpath(os.path.abspath(name), root) for name in names]
    return dict(zip(names, rows, strict=True))
