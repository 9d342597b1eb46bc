"""Read VGGSound's list of labelled clips, a CSV file without header in either published form.

The rows are `<id>_<start>.mp4,label` or `<id>,<start>,label,split`. The leak check reads other CSV lists of clips the
same way.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harken.data.records import RecordError
from harken.errors import DataError, short_repr
from harken.prepare.clip_names import ClipName, parse_clip_name
from harken.types import Rejected


@dataclass(frozen=True, slots=True)
class ListedClip:
    """One row; `split` is "" where the list names none."""

    clip: ClipName
    label: str
    split: str
    line: int


def read_clip_list(path: Path) -> tuple[list[ListedClip], list[Rejected]]:
    """Read the rows; a clip that an earlier row has is rejected. Raises DataError where the file cannot be read."""
    rows: list[ListedClip] = []
    rejected: list[Rejected] = []
    line_of: dict[ClipName, int] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            for cells in filter(None, reader):
                try:
                    row = _parse(cells, reader.line_num)
                    if row.clip in line_of:
                        raise RecordError(f"clip listed again: {row.clip} is in line {line_of[row.clip]}")
                except RecordError as error:
                    rejected.append(Rejected(str(path), reader.line_num, cells[0], str(error)))
                else:
                    line_of[row.clip] = row.line
                    rows.append(row)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV list of clips in UTF-8: {error}") from error
    return rows, rejected


def _parse(cells: Sequence[str], line: int) -> ListedClip:
    if len(cells) == 2:
        name, label = cells
        clip, split = parse_clip_name(name.strip().removesuffix(".mp4")), ""
    elif len(cells) == 4:
        video, start, label, split = cells
        clip = parse_clip_name(f"{video.strip()}_{start.strip()}")
        name = f"{video},{start}"
    else:
        raise RecordError(f"row of {len(cells)} cells: expected name,label or id,start,label,split")
    if clip is None:
        raise RecordError(f"clip name: expected an 11-character id and a start second, found {short_repr(name)}")
    if not label.strip():
        raise RecordError("label: empty")
    return ListedClip(clip, label.strip(), split.strip(), line)
