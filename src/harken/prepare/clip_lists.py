"""Read CSV lists of clips: VGGSound's, in both published forms, and any whose first row names its columns.

VGGSound's rows are `<id>_<start>.mp4,label` or `<id>,<start>,label,split`, with a header or without. AudioCaps' and
AudioSet's lists name the id and the start in columns of their own. `prepare vggsound` and the leak check read lists
with `list_rows`.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from harken.data.records import RecordError
from harken.errors import DataError, short_repr
from harken.prepare.clip_source import listed_source
from harken.types import AudioSpan, Rejected

ID_COLUMNS = ("youtube_id", "youtubeid", "ytid", "yt_id", "video_id", "videoid")
START_COLUMNS = ("start_time", "start_seconds", "start_second", "start", "time_start")
_NAME_COLUMNS = ("video_name", *ID_COLUMNS, "file_name", "filename", "audio", "audio_path", "id")
_WITHOUT_HEADER = {2: ("video_name", "label"), 4: ("youtube_id", "start", "label", "split")}


@dataclass(frozen=True, slots=True)
class ListRow:
    """A row: its line, and its cells by the names of their columns. A row of no known form has `video_name` only."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ListedClip:
    """A row of VGGSound's list; `split` is "" where the list names none, `audio` is None before the clip is there.

    `id` is the clip's name, `<id>_<start>`, and `source` the row's place, "file:line".
    """

    id: str
    label: str
    split: str
    source: str
    audio: Path | None = None

    @property
    def audio_spans(self) -> tuple[AudioSpan, ...]:
        return () if self.audio is None else (AudioSpan(self.audio),)


def list_rows(path: Path) -> Iterator[ListRow]:
    """Yield the rows of a list. Lines that begin with `#` are comments, except a header.

    Raises DataError where the file cannot be read.
    """
    header: Sequence[str] | None = None
    n_rows = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, skipinitialspace=True)
            for cells in filter(None, reader):
                if n_rows == 0 and header is None and set(column_names(tuple(cells))) & set(_NAME_COLUMNS):
                    header = column_names(tuple(cells))
                elif not cells[0].startswith("#"):
                    n_rows += 1
                    columns = header or _WITHOUT_HEADER.get(len(cells), ("video_name",))
                    yield ListRow(reader.line_num, dict(zip(columns, cells, strict=False)))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV list of clips in UTF-8: {error}") from error


@lru_cache(maxsize=256)
def column_names(cells: tuple[str, ...]) -> tuple[str, ...]:
    """The names of columns as they are compared: `# YouTube ID` -> `youtube_id`."""
    return tuple("_".join(cell.casefold().strip("# ").split()) for cell in cells)


def vggsound_clips(path: Path) -> Iterator[ListedClip | Rejected]:
    """Yield the clips of VGGSound's list; a clip that an earlier row has is rejected.

    Raises DataError where the file cannot be read.
    """
    line_of: dict[str, int] = {}
    for row in list_rows(path):
        try:
            clip = _vggsound_clip(row, f"{path}:{row.line}")
            if clip.id in line_of:
                raise RecordError(f"clip listed again: {clip.id} is in line {line_of[clip.id]}")
        except RecordError as error:
            yield Rejected(str(path), row.line, next(iter(row.cells.values()), ""), str(error))
        else:
            line_of[clip.id] = row.line
            yield clip


def _vggsound_clip(row: ListRow, place: str) -> ListedClip:
    label = next((text for name, text in row.cells.items() if name.startswith("label")), None)
    if label is None:
        expected = "expected name,label or id,start,label,split"
        raise RecordError(f"row without a label: {expected}, found {short_repr(list(row.cells.values()))}")
    ident = next((row.cells[name] for name in ID_COLUMNS if name in row.cells), None)
    start = next((row.cells[name] for name in START_COLUMNS if name in row.cells), "")
    name = row.cells.get("video_name", "") if ident is None else f"{ident.strip()}_{start.strip()}"
    source = listed_source(name.strip().removesuffix(".mp4"))
    if source is None or not source.starts_s or source.end_s is not None:
        raise RecordError(f"clip name: expected an 11-character id and a start second, found {short_repr(name)}")
    if not label.strip():
        raise RecordError("label: empty")
    split = next((text for name, text in row.cells.items() if "split" in name), "")
    return ListedClip(source.names[0], label.strip(), split.strip(), place)
