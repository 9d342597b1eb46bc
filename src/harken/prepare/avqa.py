"""AVQA: annotations and videos (or their sound) -> questions about 16 kHz WAVs.

Takes the JSON list of AVQA (`video_name`, `question_text`, `multi_choice`, `answer`, `question_relation`,
`question_type`; `id` where there is one) and a folder of media in any layout. Gives a manifest whose clips are
`audio/<id>_<start>.wav` beside it. Order of checks: the record, filters of its labels, its prompt length, its media
file, its sound, filters of its sound; a record is rejected by the first it fails.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harken.data.record_fields import label_field, text_field
from harken.data.records import Record, RecordError, read_records
from harken.errors import short_repr
from harken.prepare.choices import clean_choices
from harken.prepare.clip_extraction import Extraction, Measured, extract_clips
from harken.prepare.clip_names import ClipName, MediaIndex, index_media, parse_clip_name
from harken.prepare.data_card import Card, Section, counts
from harken.prepare.draft import Draft, finish
from harken.prepare.filters import Filters
from harken.prepare.leaks import Against
from harken.prepare.licences import AVQA
from harken.prepare.rewording import about_sound
from harken.system.files import remove_leftovers
from harken.types import AudioSpan, Question, Rejected

REWORDED = "question about a video reworded"


@dataclass(frozen=True, slots=True)
class Annotated:
    """One usable annotation; the question has no clip yet."""

    question: Question
    clip: ClipName


def read_avqa(path: Path) -> tuple[list[Annotated], list[Rejected], Counter[str]]:
    """(usable records, rejected records, number of records with each mend). Raises DataError for an unreadable file."""
    records, rejected = read_records(path)
    kept: list[Annotated] = []
    mended: Counter[str] = Counter()
    line_of: dict[str, int] = {}
    n_unnamed: Counter[ClipName] = Counter()
    for line, record in records:
        try:
            one, mends = _parse(record, f"{path}:{line}", n_unnamed)
            if one.question.id in line_of:
                raise RecordError(f"id taken: {one.question.id} is the record in line {line_of[one.question.id]}")
        except RecordError as error:
            rejected.append(Rejected(str(path), line, f"avqa-{record['id']}" if "id" in record else "", str(error)))
        else:
            line_of[one.question.id] = line
            kept.append(one)
            mended.update(mends)
    return kept, rejected, mended


def prepare_avqa(
    annotations: Path,
    media: Path,
    out: Path,
    *,
    filters: Filters,
    workers: int,
    against: Sequence[Against] = (),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Card:
    """Write manifest.jsonl, rejected.jsonl, card.md and audio/*.wav below `out`. Raises DataError, ConfigError."""
    usable, rejected, mended = read_avqa(annotations)
    draft = Draft(AVQA, len(usable) + len(rejected), [one.question for one in usable], rejected, mended)
    clip_of = {one.question.id: one.clip for one in usable}
    _leave_out(draft, lambda question: filters.of_labels(question.category, question.subcategory))
    _leave_out(draft, filters.of_length())
    wanted = {clip_of[question.id] for question in draft.questions}
    index = index_media(media, wanted)
    _leave_out(draft, lambda question: _missing(clip_of[question.id], index, media))
    clips = extract_indexed(index, out / "audio", workers, on_progress)
    faults = {clip: one for clip, (_, one) in clips.items() if isinstance(one, str)}
    _leave_out(draft, lambda question: faults.get(clip_of[question.id]))
    measured = {clip: (path, one) for clip, (path, one) in clips.items() if isinstance(one, Measured)}
    _leave_out(draft, lambda question: filters.of_clip(measured[clip_of[question.id]][1]))
    draft.questions = [replace(one, audio=measured[clip_of[one.id]][0]) for one in draft.questions]
    draft.measured = {AudioSpan(path): one for path, one in measured.values()}
    draft.sections.append(media_section(wanted, index, len(faults)))
    return finish(draft, out, out, against, workers)


def needed_clips(annotations: Path, filters: Filters) -> set[ClipName]:
    """Clips of the records that labels and lengths would keep."""
    too_long = filters.of_length()
    return {
        one.clip
        for one in read_avqa(annotations)[0]
        if filters.of_labels(one.question.category, one.question.subcategory) is None and too_long(one.question) is None
    }


def extract_indexed(
    index: MediaIndex, folder: Path, workers: int, on_progress: Callable[[int, int], None]
) -> dict[ClipName, tuple[Path, Measured | str]]:
    """The WAV of each clip of the index, `<folder>/<id>_<start>.wav`, and its measures or the reason why there is none.
    Temporary files of a killed run are removed first."""
    remove_leftovers(folder)
    targets = {clip: folder / f"{clip}.wav" for clip in index.file_of}
    jobs = [Extraction(source, targets[clip]) for clip, source in index.file_of.items()]
    results = extract_clips(jobs, workers, on_progress)
    return {clip: (targets[clip], result) for clip, result in zip(index.file_of, results, strict=True)}


def media_section(wanted: Iterable[ClipName], index: MediaIndex, n_faulty: int | None = None) -> Section:
    """Clips needed, present, missing; and those without usable sound, where media were read."""
    needed = len(set(wanted))
    numbers = {"needed": needed, "present": len(index.file_of), "missing": needed - len(index.file_of)}
    if n_faulty is not None:
        numbers["present, no usable sound"] = n_faulty
    numbers |= {"further files of the same clips": index.n_spare, "files that are no clip of these": index.n_other}
    return counts("Media of the records left after the text filters", numbers)


def _leave_out(draft: Draft, reason_of: Callable[[Question], str | None]) -> None:
    reasons: Mapping[str, str | None] = {question.id: reason_of(question) for question in draft.questions}
    draft.reject({ident: reason for ident, reason in reasons.items() if reason is not None})


def _missing(clip: ClipName, index: MediaIndex, media: Path) -> str | None:
    return None if clip in index.file_of else f"no media file: {clip} is not in {media}"


def _parse(record: Record, source: str, n_unnamed: Counter[ClipName]) -> tuple[Annotated, set[str]]:
    name = text_field(record, "video_name")
    clip = parse_clip_name(name)
    if clip is None:
        raise RecordError(f"video_name: expected <11-character id>_<start second>, found {short_repr(name)}")
    if "multi_choice" not in record:
        raise RecordError("key 'multi_choice' is missing")
    choices, answer, mended = clean_choices(record["multi_choice"], record.get("answer"), "multi_choice")
    asked = text_field(record, "question_text").strip()
    text = about_sound(asked)
    if text != asked:
        mended.add(REWORDED)
    question = Question(
        id=_ident(record, clip, n_unnamed),
        text=text,
        choices=choices,
        answer=answer,
        audio=None,
        category=label_field(record, "question_relation"),
        subcategory=label_field(record, "question_type"),
        dataset="AVQA",
        source=source,
    )
    return Annotated(question, clip), mended


def _ident(record: Record, clip: ClipName, n_unnamed: Counter[ClipName]) -> str:
    """`avqa-<id>`; of records without one `avqa-<clip>`, `avqa-<clip>-2`, ... in the order of the file."""
    ident = record.get("id")
    if ident is None:
        n_unnamed[clip] += 1
        return f"avqa-{clip}" + (f"-{n_unnamed[clip]}" if n_unnamed[clip] > 1 else "")
    if type(ident) not in (int, str) or not str(ident).strip():
        raise RecordError(f"id: expected a number or text, found {short_repr(ident)}")
    return f"avqa-{ident}"
