"""Extract the clips that a set needs from a folder of media, and say why the others cannot be used.

`prepare avqa` and `prepare vggsound` share this: find the media file of each clip, write its sound to
`<folder>/<id>_<start>.wav`, measure it, and apply the filters of its sound.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harken.errors import DataError
from harken.prepare.clip_extraction import ClipMeasures, ExtractionJob, extract_clips
from harken.prepare.data_card import CardTable
from harken.prepare.filters import Filters
from harken.prepare.leaks import LeakSearch
from harken.prepare.media_index import index_media, media_notes, media_table
from harken.system.files import remove_leftovers
from harken.system.progress import OnProgress
from harken.types import AudioSpan


@dataclass(frozen=True, slots=True)
class WantedClips:
    """The wanted clips that can be used, and the reasons against the others.

    Attributes:
        media: the folder that was searched.
        measures: of the WAVs that can be used.
        faults: why each other clip that has a file cannot be used.
        table, notes: for the card.
    """

    media: Path
    measures: dict[AudioSpan, ClipMeasures]
    faults: dict[AudioSpan, str]
    table: CardTable
    notes: list[str]

    def reason(self, spans: Iterable[AudioSpan]) -> str | None:
        """Why one of these WAVs cannot be used; None where all can."""
        for span in spans:
            if span not in self.measures:
                return self.faults.get(span) or f"no media file: {span.path.stem} is not in {self.media}"
        return None


def extract_wanted_clips(
    wanted: Iterable[AudioSpan],
    media: Path,
    filters: Filters,
    workers: int,
    on_progress: OnProgress,
    leaks: LeakSearch,
) -> WantedClips:
    """Extract clips below `media`; temporary files that a killed run left beside them are removed first.

    Args:
        wanted: the WAVs to write, all in one folder. Each is named as its clip.
        leaks: hears each clip that is extracted.

    Raises DataError where `media` is no folder.
    """
    if not media.is_dir():
        fault = "a file and no folder; unpack it, and name the folder" if media.exists() else "no such folder"
        raise DataError(f"{media}: {fault}; it has to hold the videos or the sound files of the clips")
    span_of = {span.path.stem: span for span in wanted}
    index = index_media(media, span_of.keys())
    for folder in {span.path.parent for span in span_of.values()}:
        remove_leftovers(folder)
    jobs = [ExtractionJob(source, span_of[name].path) for name, source in index.file_of.items()]
    results = extract_clips(jobs, workers, on_progress, leaks.hear if leaks.needs_sound else None)
    measures: dict[AudioSpan, ClipMeasures] = {}
    faults: dict[AudioSpan, str] = {}
    for name, result in zip(index.file_of, results, strict=True):
        reason = result if isinstance(result, str) else filters.reason_by_clip(result)
        if reason is not None:
            faults[span_of[name]] = reason
        elif isinstance(result, ClipMeasures):
            measures[span_of[name]] = result
    n_faulty = sum(isinstance(result, str) for result in results)
    return WantedClips(media, measures, faults, media_table(len(span_of), index, n_faulty), media_notes(media, index))
