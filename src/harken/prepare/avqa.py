"""`harken prepare avqa`: AVQA's annotations and videos (or their sound) become questions about 16 kHz WAVs.

The annotations are AVQA's JSON list (`video_name`, `question_text`, `multi_choice`, `answer`, `question_relation`,
`question_type`, and `id` where there is one); the media are a folder in any layout. A record is checked in this order
and rejected by the first check that it fails: its fields, the filters of its labels, the length of its prompt, its
media file, its sound, the filters of its sound.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harken.data.record_fields import label_field, text_field
from harken.data.records import Record, RecordError, read_numbered_records
from harken.errors import short_repr
from harken.prepare.by_ear import EarFilter
from harken.prepare.choices import clean_choices
from harken.prepare.clip_names import ClipName, parse_clip_name
from harken.prepare.data_card import Card
from harken.prepare.draft import Draft, write_draft
from harken.prepare.filters import Filters
from harken.prepare.leak_check_sets import ComparedSet
from harken.prepare.licences import AVQA
from harken.prepare.missing_clips import list_missing_clips
from harken.prepare.rewording import reword_for_audio
from harken.prepare.wanted_clips import extract_wanted_clips
from harken.system.progress import OnProgress, no_progress
from harken.system.writer_lock import one_writer
from harken.types import Question, Rejected

REWORDED = "question about a video reworded"


@dataclass(frozen=True, slots=True)
class AvqaRecord:
    """One usable annotation: a question without its clip, and the name of that clip."""

    question: Question
    clip: ClipName


@one_writer
def prepare_avqa(
    annotations: Path,
    media: Path,
    out: Path,
    *,
    filters: Filters,
    workers: int,
    against: Sequence[ComparedSet] = (),
    on_progress: OnProgress = no_progress,
) -> Card:
    """Write manifest.jsonl, rejected.jsonl, card.md and audio/*.wav below `out`. Raises DataError, ConfigError."""
    draft, clip_of = _draft(annotations, filters)
    wanted = {clip_of[question.id] for question in draft.questions}
    clips = extract_wanted_clips(wanted, media, out / "audio", filters, workers, on_progress)
    draft.reject(lambda question: clips.reasons.get(clip_of[question.id]))
    draft.questions = [replace(question, audio=clips.wav_of[clip_of[question.id]]) for question in draft.questions]
    draft.measures = clips.measures
    draft.tables.append(clips.table)
    draft.notes += clips.notes
    return write_draft(draft, out, out, against, workers)


def missing_avqa_clips(annotations: Path, media: Path, out: Path, filters: Filters) -> Card:
    """List the clips that the records need and `media` lacks. Labels and lengths are filtered; no clip is read."""
    draft, clip_of = _draft(annotations, filters)
    needed = {clip_of[question.id] for question in draft.questions}
    rejected = sorted(draft.rejected, key=lambda record: record.line)
    return list_missing_clips(AVQA, needed, len(draft.questions), rejected, media, out)


def _draft(annotations: Path, filters: Filters) -> tuple[Draft, dict[str, ClipName]]:
    """The records that the filters of labels and lengths keep, and the clip of each question id."""
    records, rejected, repairs = read_avqa(annotations)
    draft = Draft(AVQA, len(records) + len(rejected), [record.question for record in records], rejected, repairs)
    draft.reject(filters.reason_by_labels)
    ear = EarFilter(filters.by_ear)
    draft.reject(ear.reason)
    draft.tables += ear.tables()
    draft.reject(filters.reason_by_length())
    return draft, {record.question.id: record.clip for record in records}


def read_avqa(path: Path) -> tuple[list[AvqaRecord], list[Rejected], Counter[str]]:
    """Read the annotations. Raises DataError where the file cannot be read.

    Returns:
        The usable records, the rejected ones, and the number of usable records in which each repair was made.
    """
    raw_records, rejected = read_numbered_records(path)
    records: list[AvqaRecord] = []
    repairs: Counter[str] = Counter()
    line_of: dict[str, int] = {}
    n_unnamed: Counter[ClipName] = Counter()
    for line, which, raw in raw_records:
        try:
            record, record_repairs = _parse(raw, f"{path}:{line}", n_unnamed)
            ident = record.question.id
            if ident in line_of:
                raise RecordError(f"id taken: {ident} is the record in line {line_of[ident]}")
        except RecordError as error:
            rejected.append(Rejected(str(path), line, f"avqa-{raw['id']}" if "id" in raw else "", f"{which}{error}"))
        else:
            line_of[ident] = line
            records.append(record)
            repairs.update(record_repairs)
    return records, rejected, repairs


def _parse(record: Record, source: str, n_unnamed: Counter[ClipName]) -> tuple[AvqaRecord, set[str]]:
    """The record, and the repairs that were made in it."""
    name = text_field(record, "video_name")
    clip = parse_clip_name(name)
    if clip is None:
        raise RecordError(f"video_name: expected <11-character id>_<start second>, found {short_repr(name)}")
    if "multi_choice" not in record:
        raise RecordError("key 'multi_choice' is missing")
    choices, answer, repairs = clean_choices(record["multi_choice"], record.get("answer"), "multi_choice")
    original = text_field(record, "question_text").strip()
    text = reword_for_audio(original)
    if text != original:
        repairs.add(REWORDED)
    question = Question(
        id=_question_id(record, clip, n_unnamed),
        text=text,
        choices=choices,
        answer=answer,
        audio=None,
        category=label_field(record, "question_relation"),
        subcategory=label_field(record, "question_type"),
        dataset="AVQA",
        source=source,
    )
    return AvqaRecord(question, clip), repairs


def _question_id(record: Record, clip: ClipName, n_unnamed: Counter[ClipName]) -> str:
    """`avqa-<id>`; for records without an id `avqa-<clip>`, `avqa-<clip>-2`, ... in the order of the file."""
    ident = record.get("id")
    if ident is None:
        n_unnamed[clip] += 1
        return f"avqa-{clip}" + (f"-{n_unnamed[clip]}" if n_unnamed[clip] > 1 else "")
    if type(ident) not in (int, str) or not str(ident).strip():
        raise RecordError(f"id: expected a number or text, found {short_repr(ident)}")
    return f"avqa-{ident}"
