"""A set while it is prepared, and the files that it becomes.

Commands of `harken prepare` read records into a `Draft`, say which of them cannot be used, and call `write_draft`. That
leaves out what benchmarks contain and writes rejected.jsonl, card.md and last manifest.jsonl, each whole or not at all.
Every record read is either kept or rejected; `write_draft` checks this. A draft lies on disk, in the order of the
source: memory holds ids, hashes and the different clips.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from harken.data.load import rejected_file
from harken.data.manifest import manifest_record
from harken.data.records import Placed, Record, RecordError, rejection
from harken.errors import DataError, short_repr
from harken.prepare.clip_extraction import ClipMeasures, measure_clips
from harken.prepare.data_card import (
    Card,
    CardTable,
    QuestionTables,
    account_tables,
    count_table,
    duration_table,
)
from harken.prepare.leak_check_sets import ComparedRecord, record_of_clip_name, word_set
from harken.prepare.leaks import LeakSearch
from harken.prepare.licences import DataSource
from harken.prepare.source_records import SourceRecords
from harken.system.disk_list import DiskList
from harken.system.files import write_text
from harken.system.json_lines import json_lines_file
from harken.system.progress import OnProgress
from harken.types import AudioSpan, Question, Rejected


class _Item(Placed, Protocol):
    """A question, or a clip of a list; a manifest has one record for each."""

    @property
    def audio_spans(self) -> tuple[AudioSpan, ...]: ...


ItemT = TypeVar("ItemT", bound=_Item)


class Draft(Generic[ItemT]):
    """A set under preparation: every record that was read, in order, as an item or as a Rejected.

    Args:
        folder: where the draft lies on disk; nothing of it stays there.

    Attributes:
        spans: the different clips of the items, in order.
        repairs: kind of repair -> number of records that it was made in.
        measures: the clips of the items; those of rejected items may be there too.
        tables, notes: further tables and sentences for the card.
    """

    def __init__(self, source: DataSource, folder: Path) -> None:
        self.source = source
        self.spans: dict[AudioSpan, None] = {}
        self.repairs: Counter[str] = Counter()
        self.measures: dict[AudioSpan, ClipMeasures] = {}
        self.tables: list[CardTable] = []
        self.notes: list[str] = []
        self._outcomes = DiskList[ItemT | Rejected](folder)
        self._checks: list[Callable[[ItemT], str | None]] = []

    def __len__(self) -> int:
        """The number of records that were read."""
        return len(self._outcomes)

    def add(self, outcome: ItemT | Rejected) -> None:
        """Add what became of the next record."""
        if not isinstance(outcome, Rejected):
            self.spans.update(dict.fromkeys(outcome.audio_spans))
        self._outcomes.append(outcome)

    def reject(self, reason_of: Callable[[ItemT], str | None]) -> None:
        """Reject the items that have a reason, also those that are added later."""
        self._checks.append(reason_of)

    def outcomes(self) -> Iterator[ItemT | Rejected]:
        """Each record as an item or as rejected, in the order of the source."""
        for outcome in self._outcomes:
            if isinstance(outcome, Rejected):
                yield outcome
            else:
                reason = next((reason for check in self._checks if (reason := check(outcome)) is not None), None)
                yield outcome if reason is None else rejection(outcome, reason)


def draft_from_records(
    source: DataSource,
    records: SourceRecords,
    parse: Callable[[Record, str], Question],
    folder: Path,
    *,
    reasons: Sequence[Callable[[Question], str | None]] = (),
    id_of: Callable[[Record], str] = lambda record: str(record.get("id", "")),
) -> Draft[Question]:
    """Parse the records of a source. A record whose id an earlier one has is rejected.

    `parse` makes an id for a record without one; the second record whose made id is the same gets `-2` behind it, and
    so on.

    Args:
        parse: takes a record and its place ("file:number"); raises RecordError for a record that cannot be used.
        folder: where the draft lies on disk.
        reasons: give the reason to leave a question out, before anything is known about its clip.
        id_of: how a record is named that cannot be used.

    Raises DataError for a source without a record.
    """
    draft = Draft[Question](source, folder)
    line_of: dict[str, int] = {}
    n_equal: Counter[str] = Counter()
    for item in records.records:
        if isinstance(item, Rejected):
            draft.add(item)
            continue
        try:
            question = parse(item.record, item.place)
            if item.record.get("id") is None and question.id in line_of:
                n_equal[question.id] += 1
                question = replace(question, id=f"{question.id}-{n_equal[question.id] + 1}")
            if question.id in line_of:
                place = f"{item.file}:{line_of[question.id]}"
                raise RecordError(f"id taken: {short_repr(question.id)} is the record of {place}")
        except RecordError as error:
            draft.add(Rejected(item.file, item.line, id_of(item.record), f"{item.which}{error}"))
        else:
            line_of[question.id] = item.line
            reason = next((reason for check in reasons if (reason := check(question)) is not None), None)
            draft.add(question if reason is None else rejection(question, reason))
    if len(draft) == 0:
        raise DataError(f"{records.name}: holds no record; check that the file is the right one and whole")
    return draft


def measure_draft_clips(draft: Draft[Question], workers: int, on_progress: OnProgress, leaks: LeakSearch) -> None:
    """Decode the clips of a draft where they are, each once, for the card and for the leak check, and reject the
    questions whose clip cannot be decoded."""
    spans = list(draft.spans)
    results = measure_clips(spans, workers, on_progress, leaks.hear if leaks.needs_sound else None)
    faults = {span: result for span, result in zip(spans, results, strict=True) if isinstance(result, str)}
    draft.measures |= {s: result for s, result in zip(spans, results, strict=True) if isinstance(result, ClipMeasures)}
    draft.reject(lambda question: next((faults[span] for span in question.audio_spans if span in faults), None))


def write_draft(
    draft: Draft[Question], out: Path, audio_root: Path, leaks: LeakSearch, *, listed: bool = False
) -> Card:
    """Leave out the clips of benchmarks and write the three files.

    Args:
        audio_root: folder that the manifest names clips relative to.
        leaks: knows the benchmarks, and the clips of the draft as they sound.
        listed: the clips are named by ids of a list, whatever they look like.
    """
    tables = QuestionTables()

    def row(question: Question) -> Record:
        tables.add(question)
        return manifest_record(question, audio_root)

    def card(account: DraftAccount) -> Card:
        clips = account.measures
        parts = account.tables
        if draft.repairs:
            parts.append(count_table("Repaired records", dict(sorted(draft.repairs.items()))))
        parts += draft.tables
        if clips:
            parts.append(duration_table("Clips of kept records", (clip.duration_s for clip in clips)))
            unusual = {
                "silent, for example because channels cancel each other out": sum(clip.silent for clip in clips),
                "reach full scale; louder samples are clipped": sum(clip.at_full_scale for clip in clips),
            }
            parts.append(count_table("Sound of these clips", unusual))
        duplicates = tables.duplicate_table([clip.digest for clip in clips])
        return Card(draft.source, draft.notes, [*parts, tables.position_table(), duplicates, leaks.table()])

    return write_outcomes(draft, out, leaks, partial(_compared_records, listed=listed), row, card)


@dataclass(frozen=True, slots=True)
class DraftAccount:
    """Counts of the kept and the rejected records of a draft.

    Attributes:
        n_kept: records in the manifest.
        reasons: kind of reason -> number of rejected records.
        measures: of the different clips of kept records.
    """

    n_kept: int
    reasons: Counter[str]
    measures: Sequence[ClipMeasures]

    @property
    def tables(self) -> list[CardTable]:
        """The records read, kept and rejected, and the reasons."""
        return account_tables(self.n_kept, self.reasons)


def write_outcomes(
    draft: Draft[ItemT],
    out: Path,
    leaks: LeakSearch,
    compared: Callable[[ItemT], Iterable[ComparedRecord]],
    row: Callable[[ItemT], Record],
    card: Callable[[DraftAccount], Card],
) -> Card:
    """Go through a draft once, leave out the clips of benchmarks, and write rejected.jsonl, card.md and manifest.jsonl.

    Args:
        compared: an item as the leak check compares it, one record for each clip.
        row: the manifest's record of an item that is kept.
        card: makes the card, after the last record.
    """
    n_kept, reasons, kept_spans = 0, Counter[str](), set[AudioSpan]()
    with json_lines_file(out / "manifest.jsonl") as keep:
        with rejected_file(out / "rejected.jsonl", reasons) as leave_out:
            for outcome in draft.outcomes():
                if not isinstance(outcome, Rejected):
                    reason = leaks.compare(compared(outcome))
                    outcome = outcome if reason is None else rejection(outcome, reason)
                if isinstance(outcome, Rejected):
                    leave_out(outcome)
                else:
                    n_kept += 1
                    kept_spans.update(outcome.audio_spans)
                    keep(row(outcome))
            assert n_kept + reasons.total() == len(draft), "a record is neither kept nor rejected"
            measures = [measures for span, measures in draft.measures.items() if span in kept_spans]
            finished = card(DraftAccount(n_kept, reasons, measures))
        write_text(out / "card.md", finished.markdown())
    return finished


def _compared_records(question: Question, *, listed: bool) -> Iterator[ComparedRecord]:
    """One record for each clip, or one without a clip."""
    words = word_set(question.text, *question.choices)
    for span in question.audio_spans or (None,):
        name = "" if span is None else span.path.stem
        yield record_of_clip_name(question.id, name, words, span, listed=listed)
