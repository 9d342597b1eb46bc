"""`harken prepare vggsound`: VGGSound's list of labelled clips and their media become WAVs and a list of clips.

The manifest has one record a clip (`id`, `audio`, `label`, `split`), about which `harken generate` writes questions.
VGGSound asks no questions itself, and none are made of its labels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harken.data.records import Record, rejection
from harken.prepare.clip_lists import ListedClip, vggsound_clips
from harken.prepare.data_card import Card, count_table, duration_table
from harken.prepare.draft import Draft, DraftAccount, write_outcomes
from harken.prepare.filters import Filters
from harken.prepare.leak_check_sets import ComparedRecord, ComparedSet, record_of_clip_name
from harken.prepare.leaks import LeakSearch
from harken.prepare.licences import VGGSOUND
from harken.prepare.missing_clips import list_missing_clips
from harken.prepare.wanted_clips import extract_wanted_clips
from harken.system.progress import OnProgress, no_progress
from harken.system.writer_lock import one_writer
from harken.types import Rejected


@one_writer
def prepare_vggsound(
    clip_list: Path,
    media: Path,
    out: Path,
    *,
    filters: Filters,
    workers: int,
    split: str | None = None,
    against: Sequence[ComparedSet] = (),
    on_progress: OnProgress = no_progress,
) -> Card:
    """Write manifest.jsonl, rejected.jsonl, card.md and audio/*.wav below `out`. `split` keeps rows of one split."""
    leaks = LeakSearch(against, workers, out)
    draft = _draft(clip_list, out, split)
    clips = extract_wanted_clips(draft.spans, media, filters, workers, on_progress, leaks)
    draft.reject(lambda clip: clips.reason(clip.audio_spans))
    draft.measures = clips.measures
    notes = ["This is a list of clips. `harken generate` writes questions about them.", *clips.notes]

    def card(account: DraftAccount) -> Card:
        measures = account.measures
        n_repeated = len(measures) - len({clip.digest for clip in measures})
        tables = [
            *account.tables,
            clips.table,
            duration_table("Clips kept", (clip.duration_s for clip in measures)),
            count_table("Duplicates", {"clips with the same samples as an earlier clip": n_repeated}),
            leaks.table(),
        ]
        return Card(VGGSOUND, notes, tables)

    return write_outcomes(draft, out, leaks, _compared_records, _record, card)


@one_writer
def missing_vggsound_clips(clip_list: Path, media: Path, out: Path, *, split: str | None = None) -> Card:
    """List the clips of the list that `media` lacks. No clip is read."""
    draft = _draft(clip_list, out, split, extracted=False)
    return list_missing_clips(draft, (clip.id for clip in draft.outcomes() if isinstance(clip, ListedClip)), media, out)


def _draft(clip_list: Path, out: Path, split: str | None, *, extracted: bool = True) -> Draft[ListedClip]:
    """The clips of the list and of the split.

    Args:
        extracted: give each clip the WAV that is to be extracted for it.
    """
    draft = Draft[ListedClip](VGGSOUND, out)
    for clip in vggsound_clips(clip_list):
        if isinstance(clip, Rejected):
            draft.add(clip)
        elif split in (None, clip.split):
            draft.add(replace(clip, audio=out / "audio" / f"{clip.id}.wav") if extracted else clip)
        else:
            draft.add(rejection(clip, f"split filtered: {clip.split!r}"))
    return draft


def _compared_records(clip: ListedClip) -> Iterator[ComparedRecord]:
    for span in clip.audio_spans:
        yield record_of_clip_name(clip.id, clip.id, span=span, listed=True)


def _record(clip: ListedClip) -> Record:
    record = {"id": clip.id, "audio": f"audio/{clip.id}.wav", "label": clip.label}
    return record | ({"split": clip.split} if clip.split else {})
