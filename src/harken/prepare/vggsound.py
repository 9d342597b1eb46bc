"""`harken prepare vggsound`: VGGSound's list of labelled clips and their media become WAVs and a list of clips.

The manifest has one record a clip (`id`, `audio`, `label`, `split`), about which `harken generate` writes questions.
VGGSound asks no questions itself, and none are made of its labels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harken.data.load import write_rejected
from harken.prepare.data_card import Card, CardTable, account_tables, count_reasons, count_table, duration_table
from harken.prepare.filters import Filters
from harken.prepare.leak_check_sets import ComparedSet, record_of_clip_name
from harken.prepare.leaks import leak_reasons
from harken.prepare.licences import VGGSOUND
from harken.prepare.missing_clips import list_missing_clips
from harken.prepare.vggsound_list import ListedClip, read_clip_list
from harken.prepare.wanted_clips import WantedClips, extract_wanted_clips
from harken.system.files import write_text
from harken.system.json_lines import write_json_lines
from harken.system.progress import OnProgress, no_progress
from harken.system.writer_lock import one_writer
from harken.types import AudioSpan, Rejected


@dataclass(slots=True)
class _ClipDraft:
    """A list of clips under preparation: every row that was read is in `rows` or in `rejected`."""

    file: Path
    rows: list[ListedClip]
    rejected: list[Rejected]

    def reject(self, reason_of: Callable[[ListedClip], str | None]) -> None:
        """Move the rows that have a reason to the rejected records."""
        reasons = {row.clip: reason_of(row) for row in self.rows}
        for row in self.rows:
            if (reason := reasons[row.clip]) is not None:
                self.rejected.append(Rejected(str(self.file), row.line, str(row.clip), reason))
        self.rows = [row for row in self.rows if reasons[row.clip] is None]


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
    draft = _draft(clip_list, split)
    n_rows = len(draft.rows) + len(draft.rejected)
    wanted = {row.clip for row in draft.rows}
    clips = extract_wanted_clips(wanted, media, out / "audio", filters, workers, on_progress)
    draft.reject(lambda row: clips.reasons.get(row.clip))
    names = {str(row.clip): AudioSpan(clips.wav_of[row.clip]) for row in draft.rows}
    records = [record_of_clip_name(name, name, span=span) for name, span in names.items()]
    leaks, leak_table = leak_reasons(records, against, workers)
    draft.reject(lambda row: leaks.get(str(row.clip)))
    assert len(draft.rows) + len(draft.rejected) == n_rows, "a row is neither kept nor rejected"
    draft.rejected.sort(key=lambda record: record.line)
    notes = ["This is a list of clips. `harken generate` writes questions about them.", *clips.notes]
    card = Card(VGGSOUND, notes, [*_tables(draft, clips), leak_table])
    write_rejected(out / "rejected.jsonl", draft.rejected)
    write_text(out / "card.md", card.markdown())
    write_json_lines(out / "manifest.jsonl", [_record(row, clips.wav_of[row.clip]) for row in draft.rows])
    return card


def missing_vggsound_clips(clip_list: Path, media: Path, out: Path, *, split: str | None = None) -> Card:
    """List the clips of the list that `media` lacks. No clip is read."""
    draft = _draft(clip_list, split)
    needed = {row.clip for row in draft.rows}
    return list_missing_clips(VGGSOUND, needed, len(draft.rows), draft.rejected, media, out)


def _draft(clip_list: Path, split: str | None) -> _ClipDraft:
    draft = _ClipDraft(clip_list, *read_clip_list(clip_list))
    draft.reject(lambda row: None if split in (None, row.split) else f"split filtered: {row.split!r}")
    return draft


def _tables(draft: _ClipDraft, clips: WantedClips) -> list[CardTable]:
    measures = [clips.measures[AudioSpan(clips.wav_of[row.clip])] for row in draft.rows]
    n_repeated = len(measures) - len({clip.digest for clip in measures})
    return [
        *account_tables(len(draft.rows), count_reasons(draft.rejected)),
        clips.table,
        duration_table("Clips kept", (clip.duration_s for clip in measures)),
        count_table("Duplicates", {"clips with the same samples as an earlier clip": n_repeated}),
    ]


def _record(row: ListedClip, wav: Path) -> dict[str, str]:
    record = {"id": str(row.clip), "audio": f"audio/{wav.name}", "label": row.label}
    return record | ({"split": row.split} if row.split else {})
