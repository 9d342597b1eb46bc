"""`harken prepare avqa`: AVQA's annotations and videos (or their sound) become questions about 16 kHz WAVs.

The annotations are AVQA's JSON list (`video_name`, `question_text`, `multi_choice`, `answer`, `question_relation`,
`question_type`, and `id` where there is one); the media are a folder in any layout. A record is checked in this order
and rejected by the first check that it fails: its fields, the filters of its labels, the length of its prompt, its
media file, its sound, the filters of its sound.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from harken.data.record_fields import label_field, text_field
from harken.data.records import Record, RecordError
from harken.errors import short_repr
from harken.prepare.by_ear import EarFilter
from harken.prepare.choices import clean_choices
from harken.prepare.clip_source import listed_source
from harken.prepare.data_card import Card
from harken.prepare.draft import Draft, draft_from_records, write_draft
from harken.prepare.filters import Filters
from harken.prepare.leak_check_sets import ComparedSet
from harken.prepare.leaks import LeakSearch
from harken.prepare.licences import AVQA
from harken.prepare.missing_clips import list_missing_clips
from harken.prepare.rewording import reword_for_audio
from harken.prepare.source_records import read_source
from harken.prepare.wanted_clips import extract_wanted_clips
from harken.system.progress import OnProgress, no_progress
from harken.system.writer_lock import one_writer
from harken.types import Question

REWORDED = "question about a video reworded"


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
    leaks = LeakSearch(against, workers, out)
    draft = avqa_draft(annotations, out, filters)
    clips = extract_wanted_clips(draft.spans, media, filters, workers, on_progress, leaks)
    draft.reject(lambda question: clips.reason(question.audio_spans))
    draft.measures = clips.measures
    draft.tables.append(clips.table)
    draft.notes += clips.notes
    return write_draft(draft, out, out, leaks, listed=True)


@one_writer
def missing_avqa_clips(annotations: Path, media: Path, out: Path, filters: Filters) -> Card:
    """List the clips that the records need and `media` lacks. Labels and lengths are filtered; no clip is read."""
    draft = avqa_draft(annotations, out, filters)
    return list_missing_clips(draft, (span.path.stem for span in draft.spans), media, out)


def avqa_draft(annotations: Path, out: Path, filters: Filters) -> Draft[Question]:
    """Read the annotations, and apply the filters of labels and lengths. A question's clip is the WAV that is to be
    extracted for it. Raises DataError where the file cannot be read."""
    ear = EarFilter(filters.by_ear)
    repairs: Counter[str] = Counter()
    draft = draft_from_records(
        AVQA,
        read_source(annotations),
        lambda record, place: _parse(record, place, out / "audio", repairs),
        out,
        reasons=(filters.reason_by_labels, ear.reason, filters.reason_by_length()),
        id_of=lambda record: f"avqa-{record['id']}" if "id" in record else "",
    )
    draft.repairs = repairs
    draft.tables += ear.tables()
    return draft


def _parse(record: Record, place: str, folder: Path, repairs: Counter[str]) -> Question:
    """The question of a record whose clip will be in `folder`. Counts the repairs that were made in the record."""
    name = text_field(record, "video_name")
    clip = listed_source(name)
    if clip is None or not clip.starts_s or clip.end_s is not None:
        raise RecordError(f"video_name: expected <11-character id>_<start second>, found {short_repr(name)}")
    if "multi_choice" not in record:
        raise RecordError("key 'multi_choice' is missing")
    choices, answer, repaired = clean_choices(record["multi_choice"], record.get("answer"), "multi_choice")
    original = text_field(record, "question_text").strip()
    text = reword_for_audio(original)
    question = Question(
        id=_question_id(record, clip.names[0]),
        text=text,
        choices=choices,
        answer=answer,
        audio=folder / f"{clip.names[0]}.wav",
        category=label_field(record, "question_relation"),
        subcategory=label_field(record, "question_type"),
        dataset="AVQA",
        source=place,
    )
    repairs.update(repaired | ({REWORDED} if text != original else set()))
    return question


def _question_id(record: Record, clip: str) -> str:
    """`avqa-<id>`, or `avqa-<clip>` for a record without an id; `draft_from_records` numbers several about one clip."""
    ident = record.get("id")
    if ident is None:
        return f"avqa-{clip}"
    if type(ident) not in (int, str) or not str(ident).strip():
        raise RecordError(f"id: expected a number or text, found {short_repr(ident)}")
    return f"avqa-{ident}"
