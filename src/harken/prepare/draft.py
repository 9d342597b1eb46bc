"""The end of every preparation: leaks left out, counts made, files written.

Takes questions with their rejections and the measures of their clips, writes `rejected.jsonl`, `card.md` and last
`manifest.jsonl`, each whole or not at all, and gives the card. Kept + rejected = records in, checked here.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harken.data.load import write_rejected
from harken.data.manifest import write_manifest
from harken.data.records import Record, RecordError, rejection
from harken.errors import short_repr
from harken.prepare.clip_extraction import Measured, measure_clips
from harken.prepare.data_card import Card, Section, account, by_reason, counts, duplicates, durations, positions
from harken.prepare.leaks import Against, Entry, entry_of_name, leak_reasons, words_of
from harken.prepare.licences import Source
from harken.prepare.source_records import Rows
from harken.system.files import write_text
from harken.types import AudioSpan, Question, Rejected


@dataclass(slots=True)
class Draft:
    """A set under preparation: every record read is in one of the two lists.

    Attributes:
        mended: how many records had which fault mended.
        measured: the clips of `questions`.
        sections: further tables for the card.
    """

    source: Source
    n_in: int
    questions: list[Question]
    rejected: list[Rejected]
    mended: Counter[str] = field(default_factory=Counter)
    measured: dict[AudioSpan, Measured] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def reject(self, reason_of: Mapping[str, str]) -> None:
        """Move questions, by id, to the rejected."""
        self.rejected += [rejection(one, reason_of[one.id]) for one in self.questions if one.id in reason_of]
        self.questions = [one for one in self.questions if one.id not in reason_of]


def draft_of(source: Source, rows: Rows, parse: Callable[[Record, str], Question]) -> Draft:
    """A draft of records that need no further work; `parse` takes a record and its "place:number" and may raise
    RecordError. An id that is taken already is rejected."""
    draft = Draft(source, len(rows.records) + len(rows.rejected), [], list(rows.rejected))
    place_of: dict[str, str] = {}
    for place, record in rows.records:
        try:
            question = parse(record, place)
            if question.id in place_of:
                raise RecordError(f"id taken: {short_repr(question.id)} is the record of {place_of[question.id]}")
        except RecordError as error:
            file, _, line = place.rpartition(":")
            draft.rejected.append(Rejected(file, int(line), str(record.get("id", "")), str(error)))
        else:
            place_of[question.id] = place
            draft.questions.append(question)
    return draft


def measure(draft: Draft, workers: int, on_progress: Callable[[int, int], None]) -> None:
    """Decode the clips of a draft where they lie; questions on clips that cannot be decoded are rejected."""
    parts = list(dict.fromkeys(one.audio_span for one in draft.questions if one.audio_span is not None))
    results = dict(zip(parts, measure_clips(parts, workers, on_progress), strict=True)) if parts else {}
    faults = {part: result for part, result in results.items() if isinstance(result, str)}
    draft.reject({one.id: faults[one.audio_span] for one in draft.questions if one.audio_span in faults})
    draft.measured |= {part: result for part, result in results.items() if isinstance(result, Measured)}


def finish(draft: Draft, out: Path, audio_root: Path, against: Sequence[Against], workers: int) -> Card:
    """Leave out what benchmarks hold, write the three files.

    Clips are written relative to `audio_root`. Raises DataError where a benchmark cannot be read.
    """
    digests = {part: measured.digest for part, measured in draft.measured.items()}
    leaked, leaks = leak_reasons([entry_of(one) for one in draft.questions], digests, against, workers)
    draft.reject(leaked)
    assert len(draft.questions) + len(draft.rejected) == draft.n_in, "a record is neither kept nor rejected"
    draft.rejected.sort(key=lambda one: (one.file, one.line))
    heard = {one.audio_span for one in draft.questions if one.audio_span is not None}
    clips = [measured for part, measured in draft.measured.items() if part in heard]
    sections = account(len(draft.questions), by_reason(draft.rejected))
    if draft.mended:
        sections.append(counts("Mended records", dict(sorted(draft.mended.items()))))
    sections += draft.sections
    if clips:
        sections.append(durations("Clips of kept records", (one.duration_s for one in clips)))
    sections += [positions(draft.questions), duplicates(draft.questions, [one.digest for one in clips]), leaks]
    card = Card(draft.source, draft.notes, sections)
    write_rejected(out / "rejected.jsonl", draft.rejected)
    write_text(out / "card.md", card.markdown())
    write_manifest(out / "manifest.jsonl", draft.questions, audio_root)
    return card


def entry_of(question: Question) -> Entry:
    """A question as the rules of `leaks.py` see it."""
    name = "" if question.audio is None else question.audio.stem
    return entry_of_name(question.id, name, words_of(question.text, *question.choices), question.audio_span)
