"""`harken prepare jsonl` and `export`: JSON lines of other training programs become a manifest, and the other way.

The formats are in trainer_formats.py. Clips stay where they are. In both directions every record is kept or listed with
the reason why it is left out.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harken.data.load import rejected_file
from harken.data.manifest import iter_manifest
from harken.data.records import Record, RecordError, rejection
from harken.prepare.by_ear import EarFilter
from harken.prepare.clip_finder import ClipFinder
from harken.prepare.data_card import Card, account_tables
from harken.prepare.draft import draft_from_records, measure_draft_clips, write_draft
from harken.prepare.leak_check_sets import ComparedSet
from harken.prepare.leaks import LeakSearch
from harken.prepare.licences import OWN
from harken.prepare.rewording import reword_for_audio
from harken.prepare.source_records import HubDataset, read_source
from harken.prepare.trainer_formats import READERS, to_record
from harken.system.json_lines import json_lines_file
from harken.system.progress import OnProgress, no_progress
from harken.system.writer_lock import one_writer
from harken.types import Question


@one_writer
def prepare_jsonl(
    source: Path | HubDataset,
    name: str,
    audio_root: Path | None,
    out: Path,
    *,
    reword: bool,
    workers: int,
    text_only: bool = False,
    by_ear: bool = False,
    against: Sequence[ComparedSet] = (),
    on_progress: OnProgress = no_progress,
) -> Card:
    """Write manifest.jsonl, rejected.jsonl and card.md below `out`.

    Args:
        name: of the source's format, a key of READERS.
        audio_root: the folder that the manifest names clips relative to. None for records that hold their sound
            themselves: it is written to `<out>/audio`, and named relative to `out`.
        text_only: leave the clips of all records out.
        by_ear: leave out questions that ask for what can only be seen.
        reword: turn questions about videos into questions about their sound, as `prepare avqa` does.
    """
    read = READERS[name]
    ear = EarFilter(by_ear)
    clips = ClipFinder(audio_root, out / "audio", text_only=text_only)

    def parse(record: Record, place: str) -> Question:
        question = ear.check(read(record, clips, place))
        return replace(question, text=reword_for_audio(question.text)) if reword else question

    leaks = LeakSearch(against, workers, out)
    draft = draft_from_records(OWN, read_source(source), parse, out)
    draft.tables += ear.tables()
    measure_draft_clips(draft, workers, on_progress, leaks)
    return write_draft(draft, out, out if audio_root is None else audio_root, leaks)


def export_jsonl(manifest: Path, audio_root: Path | None, name: str, out: Path) -> Card:
    """Write the questions of a manifest to the file `out` in a format of `trainer_formats.FORMATS`.

    Questions that the format cannot hold, or whose clip is not there, go to `<out>.rejected.jsonl` with the reason.
    """
    n_kept, reasons = 0, Counter[str]()
    left_out = out.with_name(f"{out.name}.rejected.jsonl")
    with json_lines_file(out) as keep, rejected_file(left_out, reasons) as leave_out:
        for outcome in iter_manifest(manifest, audio_root):
            if isinstance(outcome, Question):
                try:
                    _refuse_missing_clips(outcome)
                    keep(to_record(outcome, name))
                    n_kept += 1
                    continue
                except RecordError as error:
                    outcome = rejection(outcome, str(error))
            leave_out(outcome)
    return Card(OWN, [f"Written in the format {name}: {out}"], account_tables(n_kept, reasons))


def _refuse_missing_clips(question: Question) -> None:
    """Raises RecordError: another program would find out hours later."""
    for span in question.audio_spans:
        if not os.path.isfile(span.path):
            raise RecordError(f"{span.path}: no such file; give the folder of the clips as --audio-root")
