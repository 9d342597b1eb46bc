"""Loads the questions of a run from its files, and lists the records that cannot be used.

Every clip is decoded once before training starts, so that no broken clip stops a run later. Every id is unique over all
sources, and every record is either kept or rejected with its place and reason.
"""

import contextlib
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harken.config import SourceConfig
from harken.data.audio import ClipFacts, check_audio
from harken.data.clip_account import ClipAccount
from harken.data.records import Reader, rejection
from harken.data.reject_reasons import commonest_reasons, reason_kind
from harken.errors import AudioError, DataError, short_repr
from harken.system.json_lines import json_lines_file
from harken.types import AudioSpan, Question, Rejected, fragment


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read: len(questions) + len(rejected) = records in the files, minus those that were not selected.

    Attributes:
        durations_s: duration of each file, or part of one, that was decoded, as it will be at 16 kHz.
        missing: clip files that do not exist.
        clips: what is unusual about the clips that were decoded.
    """

    questions: list[Question]
    rejected: list[Rejected]
    durations_s: Mapping[AudioSpan, float] = field(default_factory=dict)
    missing: Sequence[Path] = ()
    clips: ClipAccount = field(default_factory=ClipAccount)


def load_sources(
    sources: Sequence[SourceConfig],
    reader_named: Callable[[str], Reader],
    *,
    need_answer: bool,
    open_answers: bool = False,
    select: Callable[[list[Question]], list[Question]] = lambda questions: questions,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Loaded:
    """Read the sources of a run in order and check every record and every clip.

    With `audio: none` questions lose their clip and no clip is opened. An id that an earlier source has is rejected.
    Questions keep the order of their files.

    Args:
        reader_named: finds the reader that a source names: `find_reader` of harken/benchmarks/registry.py, which this
            folder may not import.
        need_answer: reject questions whose answer the file hides, and open ones unless `open_answers` takes those that
            have a reference.
        select: chooses among the questions before any clip is opened.
        on_progress: called with (clips checked, clips), first before any is.

    Raises DataError where a file cannot be read at all.
    """
    questions: list[Question] = []
    rejected: list[Rejected] = []
    place_of: dict[str, str] = {}
    for number, source in enumerate(sources):
        read, unusable = reader_named(source.reader)(source.file, source.audio_root)
        rejected += unusable
        for question in read:
            if need_answer and (fault := _untaught(question, open_answers)):
                rejected.append(rejection(question, fault))
            elif question.id in place_of:
                reason = f"id {short_repr(question.id)} is taken by {place_of[question.id]}"
                rejected.append(rejection(question, reason))
            else:
                place_of[question.id] = question.source
                audio = None if source.audio == "none" else question.audio
                own = {"clip": clip_name(question), "truncated": source.truncated, "source_number": number}
                questions.append(replace(question, audio=audio, **own))
    questions = select(questions)
    facts_of, fault_of = _check_clips({span for question in questions for span in question.audio_spans}, on_progress)
    faults = {
        question.id: [fault_of[span] for span in question.audio_spans if span in fault_of] for question in questions
    }
    kept = [question for question in questions if not faults[question.id]]
    rejected += [rejection(question, faults[question.id][0]) for question in questions if faults[question.id]]
    # os.path.isfile, because Path.is_file raises where a name is too long for the operating system.
    missing = sorted({span.path for span in fault_of if not os.path.isfile(span.path)})
    rejected.sort(key=lambda record: (record.file, record.line))
    durations_s = {span: facts.duration_s for span, facts in facts_of.items()}
    return Loaded(kept, rejected, durations_s, missing, ClipAccount.of(facts_of.values()))


def _untaught(question: Question, open_answers: bool) -> str | None:
    """Why nothing can be learned from a question; None where something can."""
    if question.answer is not None:
        return None
    if question.choices or not question.answer_text:
        return "no answer, and training needs one"
    return (
        None
        if open_answers
        else "an open question, and no part of the reward scores one: add open_answer or transcript"
    )


def write_rejected(path: Path, rejected: Iterable[Rejected]) -> Counter[str]:
    """Write a line of JSON for each rejected record: file, line, id, reason, and `repeated` where it is true.

    Returns the number of records of each kind of reason.
    """
    counts = Counter[str]()
    with rejected_file(path, counts) as leave_out:
        for record in rejected:
            leave_out(record)
    return counts


@contextlib.contextmanager
def rejected_file(path: Path, counts: Counter[str]) -> Iterator[Callable[[Rejected], None]]:
    """Give a function that writes one rejected record after another as `write_rejected` does, and counts them by kind
    of reason in `counts`."""
    with json_lines_file(path) as write:

        def leave_out(record: Rejected) -> None:
            counts[reason_kind(record.reason)] += 1
            write(_rejected_row(record))

        yield leave_out


def _rejected_row(record: Rejected) -> dict[str, Any]:
    """The line of JSON of a rejected record."""
    row = {"file": record.file, "line": record.line, "id": record.id, "reason": record.reason}
    return row | ({"repeated": True} if record.repeated else {})


def refuse_if_too_many(loaded: Loaded, max_share: float, rejected_path: Path) -> None:
    """Raise DataError where more than `max_share` of the records were rejected, or where no question is left.

    `rejected_path` is where `write_rejected` put the list; the message says so.
    """
    n_rejected = len(loaded.rejected)
    n = n_rejected + len(loaded.questions)
    if loaded.questions and n_rejected <= max_share * n:
        return
    if n == 0:
        raise DataError("the training data holds no records; check data.train")
    reasons = commonest_reasons(f"{record.file}:{record.line}: {record.reason}" for record in loaded.rejected)
    raise DataError(
        f"{n_rejected:,} of {n:,} records cannot be used, {n_rejected / n:.1%}; "
        f"data.max_rejected_share is {max_share:.1%}{reasons}\n"
        f"All are listed in {rejected_path}. Correct the records"
        + (", or raise data.max_rejected_share to go on without them." if loaded.questions else ": none is left.")
    )


def clip_name(question: Question) -> str:
    """The last two parts of the clip's path, which are the same wherever the data lies, and the part of the file; the
    names of several clips are one a line; "" for a question without a clip."""
    return "\n".join(
        "/".join(span.path.parts[-2:]) + fragment(span.start_s, span.end_s) for span in question.audio_spans
    )


def _check_clips(
    clips: set[AudioSpan], on_progress: Callable[[int, int], None]
) -> tuple[Mapping[AudioSpan, ClipFacts], Mapping[AudioSpan, str]]:
    """(facts of each good clip, fault of each bad one)."""
    ordered = sorted(clips, key=lambda span: (span.path, span.start_s, span.end_s or math.inf))
    checked: dict[AudioSpan, ClipFacts | str] = {}
    on_progress(0, len(ordered))
    pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
    try:
        for clip, result in zip(ordered, pool.map(_facts_or_fault, ordered), strict=True):
            checked[clip] = result
            on_progress(len(checked), len(ordered))
    finally:
        pool.shutdown(cancel_futures=True)  # where Ctrl-C ends the check, the clips that wait are left out
    facts = {clip: result for clip, result in checked.items() if not isinstance(result, str)}
    return facts, {clip: result for clip, result in checked.items() if isinstance(result, str)}


def _facts_or_fault(clip: AudioSpan) -> ClipFacts | str:
    try:
        return check_audio(clip.path, clip.start_s, clip.end_s, truncated=clip.truncated)
    except AudioError as error:
        return str(error)
