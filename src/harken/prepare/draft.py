"""A set while it is prepared, and the files that it becomes.

Commands of `harken prepare` read records into a `Draft`, move questions that cannot be used to its rejected records,
and call `write_draft`. That leaves out what benchmarks contain and writes rejected.jsonl, card.md and last
manifest.jsonl, each whole or not at all. Every record read is either kept or rejected; `write_draft` checks this.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harken.data.load import write_rejected
from harken.data.manifest import write_manifest
from harken.data.records import Record, RecordError, rejection
from harken.errors import DataError, short_repr
from harken.prepare.clip_extraction import ClipMeasures, measure_clips
from harken.prepare.data_card import (
    Card,
    CardTable,
    account_tables,
    answer_position_table,
    count_reasons,
    count_table,
    duplicate_table,
    duration_table,
)
from harken.prepare.leak_check_sets import ComparedRecord, ComparedSet, record_of_clip_name, word_set
from harken.prepare.leaks import leak_reasons
from harken.prepare.licences import DataSource
from harken.prepare.source_records import SourceRecords
from harken.system.files import write_text
from harken.system.progress import OnProgress
from harken.types import AudioSpan, Question, Rejected


@dataclass(slots=True)
class Draft:
    """A set under preparation: every record that was read is in `questions` or in `rejected`.

    Attributes:
        n_records: records that were read.
        repairs: kind of repair -> number of records that it was made in.
        measures: the clips of `questions`; those of rejected questions may be there too.
        tables, notes: further tables and sentences for the card.
    """

    source: DataSource
    n_records: int
    questions: list[Question]
    rejected: list[Rejected]
    repairs: Counter[str] = field(default_factory=Counter)
    measures: dict[AudioSpan, ClipMeasures] = field(default_factory=dict)
    tables: list[CardTable] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def reject(self, reason_of: Callable[[Question], str | None]) -> None:
        """Move the questions that have a reason to the rejected records."""
        reasons = {question.id: reason_of(question) for question in self.questions}
        self.rejected += [rejection(q, reason) for q in self.questions if (reason := reasons[q.id]) is not None]
        self.questions = [question for question in self.questions if reasons[question.id] is None]


def draft_from_records(source: DataSource, records: SourceRecords, parse: Callable[[Record, str], Question]) -> Draft:
    """Parse the records of a source. A record whose id an earlier one has is rejected.

    A record without an id has one that is made of its content; the second of equal ones gets `-2` behind it, and so on.

    Args:
        parse: takes a record and its place ("file:number"); raises RecordError for a record that cannot be used.

    Raises DataError for a source without a record.
    """
    draft = Draft(source, len(records.rejected), [], list(records.rejected))
    place_of: dict[str, str] = {}
    n_equal: Counter[str] = Counter()
    for place, record in records.records:
        draft.n_records += 1
        try:
            question = parse(record, place)
            if "id" not in record:
                n_equal[question.id] += 1
                if n_equal[question.id] > 1:
                    question = replace(question, id=f"{question.id}-{n_equal[question.id]}")
            if question.id in place_of:
                raise RecordError(f"id taken: {short_repr(question.id)} is the record of {place_of[question.id]}")
        except RecordError as error:
            file, _, line = place.rpartition(":")
            draft.rejected.append(Rejected(file, int(line), str(record.get("id", "")), str(error)))
        else:
            place_of[question.id] = place
            draft.questions.append(question)
    if draft.n_records == 0:
        raise DataError(f"{records.name}: holds no record; check that the file is the right one and whole")
    return draft


def measure_draft_clips(draft: Draft, workers: int, on_progress: OnProgress) -> None:
    """Decode the clips of a draft where they are, and reject the questions whose clip cannot be decoded."""
    spans = list(dict.fromkeys(span for question in draft.questions for span in question.audio_spans))
    results = dict(zip(spans, measure_clips(spans, workers, on_progress), strict=True)) if spans else {}
    faults = {span: result for span, result in results.items() if isinstance(result, str)}
    draft.reject(lambda question: next((faults[span] for span in question.audio_spans if span in faults), None))
    draft.measures |= {span: result for span, result in results.items() if isinstance(result, ClipMeasures)}


def write_draft(draft: Draft, out: Path, audio_root: Path, against: Sequence[ComparedSet], workers: int) -> Card:
    """Leave out the clips of benchmarks and write the three files.

    Args:
        audio_root: folder that the manifest names clips relative to.
        against: the benchmarks.

    Raises DataError where a benchmark cannot be read.
    """
    records = [record for question in draft.questions for record in _compared_records(question)]
    leaks, leak_table = leak_reasons(records, against, workers)
    draft.reject(lambda question: leaks.get(question.id))
    assert len(draft.questions) + len(draft.rejected) == draft.n_records, "a record is neither kept nor rejected"
    draft.rejected.sort(key=lambda record: (record.file, record.line))
    card = Card(draft.source, draft.notes, [*_tables(draft), leak_table])
    write_rejected(out / "rejected.jsonl", draft.rejected)
    write_text(out / "card.md", card.markdown())
    write_manifest(out / "manifest.jsonl", draft.questions, audio_root)
    return card


def _tables(draft: Draft) -> list[CardTable]:
    kept_spans = {span for question in draft.questions for span in question.audio_spans}
    clips = [measures for span, measures in draft.measures.items() if span in kept_spans]
    tables = account_tables(len(draft.questions), count_reasons(draft.rejected))
    if draft.repairs:
        tables.append(count_table("Repaired records", dict(sorted(draft.repairs.items()))))
    tables += draft.tables
    if clips:
        tables.append(duration_table("Clips of kept records", (clip.duration_s for clip in clips)))
        unusual = {
            "silent, for example because channels cancel each other out": sum(clip.silent for clip in clips),
            "reach full scale; louder samples are clipped": sum(clip.at_full_scale for clip in clips),
        }
        tables.append(count_table("Sound of these clips", unusual))
    duplicates = duplicate_table(draft.questions, [clip.digest for clip in clips])
    return [*tables, answer_position_table(draft.questions), duplicates]


def _compared_records(question: Question) -> list[ComparedRecord]:
    """One record for each clip, or one without a clip."""
    words = word_set(question.text, *question.choices)
    clips = [(span.path.stem, span) for span in question.audio_spans] or [("", None)]
    return [record_of_clip_name(question.id, name, words, span) for name, span in clips]
