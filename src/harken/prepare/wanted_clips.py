"""Extract the clips that a set needs from a folder of media, and say why the others cannot be used.

`prepare avqa` and `prepare vggsound` share this: find the media file of each clip, write its sound to
`<folder>/<id>_<start>.wav`, measure it, and apply the filters of its sound.
"""

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from harken.prepare.clip_extraction import ClipMeasures, ExtractionJob, extract_clips
from harken.prepare.clip_names import ClipName
from harken.prepare.data_card import CardTable
from harken.prepare.filters import Filters
from harken.prepare.media_index import index_media, media_notes, media_table
from harken.system.files import remove_leftovers
from harken.system.progress import OnProgress
from harken.types import AudioSpan


@dataclass(frozen=True, slots=True)
class WantedClips:
    """What became of each wanted clip. Every wanted clip is in `wav_of` or in `reasons`.

    Attributes:
        wav_of: WAV of each clip that can be used.
        measures: of these WAVs.
        reasons: why each other clip cannot be used.
        table, notes: for the card.
    """

    wav_of: dict[ClipName, Path]
    measures: dict[AudioSpan, ClipMeasures]
    reasons: dict[ClipName, str]
    table: CardTable
    notes: list[str]


def extract_wanted_clips(
    wanted: Set[ClipName], media: Path, folder: Path, filters: Filters, workers: int, on_progress: OnProgress
) -> WantedClips:
    """Extract clips below `media` to `folder`; temporary files that a killed run left there are removed first."""
    index = index_media(media, wanted)
    reasons = {clip: f"no media file: {clip} is not in {media}" for clip in wanted - index.file_of.keys()}
    remove_leftovers(folder)
    jobs = {clip: ExtractionJob(source, folder / f"{clip}.wav") for clip, source in index.file_of.items()}
    results = extract_clips(list(jobs.values()), workers, on_progress)
    wav_of: dict[ClipName, Path] = {}
    measures: dict[AudioSpan, ClipMeasures] = {}
    for (clip, job), result in zip(jobs.items(), results, strict=True):
        reason = result if isinstance(result, str) else filters.reason_by_clip(result)
        if reason is not None:
            reasons[clip] = reason
        elif isinstance(result, ClipMeasures):
            wav_of[clip] = job.target
            measures[AudioSpan(job.target)] = result
    n_faulty = sum(isinstance(result, str) for result in results)
    return WantedClips(wav_of, measures, reasons, media_table(wanted, index, n_faulty), media_notes(index))
