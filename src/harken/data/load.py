"""Sources of a run -> questions that can be used, and the list of records that cannot.

Takes `SourceConfig`s, gives `Loaded`: every clip decoded once before training starts, every id unique over all sources,
every record either kept or rejected with its place and reason. Not taken: leaving records out without a word, and
finding a broken clip at step 900.
"""

import hashlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from harken.config import SourceConfig
from harken.data.audio import check_audio
from harken.data.records import Reader, rejection
from harken.errors import AudioError, DataError, short_repr
from harken.system.json_lines import write_json_lines
from harken.types import AudioSpan, Question, Rejected, fragment


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read. len(questions) + len(rejected) = records in the files, less those that were not selected.

    Attributes:
        durations_s: duration of each file, or part of one, that was decoded.
    """

    questions: list[Question]
    rejected: list[Rejected]
    durations_s: Mapping[AudioSpan, float] = field(default_factory=dict)
    missing: Sequence[Path] = ()


def load_sources(
    sources: Sequence[SourceConfig],
    reader_named: Callable[[str], Reader],
    *,
    need_answer: bool,
    select: Callable[[list[Question]], list[Question]] = lambda questions: questions,
) -> Loaded:
    """Read the sources of a run in order and check every record and every clip.

    With `audio: none` questions lose their clip and no file is opened. `need_answer` rejects questions whose answer the
    file hides. An id that an earlier source has already is rejected; questions keep the order of their files. `select`
    chooses among the questions before any clip is opened.

    Args:
        reader_named: finds the reader that a source names: `find_reader` of harken/benchmarks/registry.py, which this
            folder may not import.

    Raises DataError where a file cannot be read at all.
    """
    questions: list[Question] = []
    rejected: list[Rejected] = []
    place_of: dict[str, str] = {}
    for source in sources:
        read, bad = reader_named(source.reader)(source.file, source.audio_root)
        rejected += bad
        for question in read:
            if need_answer and question.answer is None:
                rejected.append(rejection(question, "no answer, and training needs one"))
            elif question.id in place_of:
                rejected.append(
                    rejection(question, f"id {short_repr(question.id)} is taken by {place_of[question.id]}")
                )
            else:
                place_of[question.id] = question.source
                heard = None if source.audio == "none" else question.audio
                questions.append(replace(question, audio=heard, clip=clip_name(question)))
    questions = select(questions)
    durations_s, fault_of = _check_clips(
        {question.audio_span for question in questions if question.audio_span is not None}
    )
    kept = [question for question in questions if question.audio_span not in fault_of]
    rejected += [
        rejection(q, fault_of[q.audio_span]) for q in questions if q.audio_span is not None and q.audio_span in fault_of
    ]
    missing = sorted({part.path for part in fault_of if not part.path.is_file()})
    return Loaded(kept, sorted(rejected, key=lambda one: (one.file, one.line)), durations_s, missing)


def write_rejected(path: Path, rejected: Sequence[Rejected]) -> None:
    """One line of JSON for each record left out: file, line, id, reason."""
    write_json_lines(path, [asdict(one) for one in rejected])


def refuse_if_too_many(loaded: Loaded, max_share: float, rejected_path: Path) -> None:
    """Raise DataError where more than `max_share` of the records were rejected, or none is left.

    `rejected_path` is where `write_rejected` put the list; the message says so.
    """
    n_rejected = len(loaded.rejected)
    n = n_rejected + len(loaded.questions)
    if loaded.questions and n_rejected <= max_share * n:
        return
    if n == 0:
        raise DataError("the training data holds no records; check data.train")
    lines = [f"{one.file}:{one.line}: {one.reason}" for one in loaded.rejected[:3]]
    raise DataError(
        f"{n_rejected} of {n} records cannot be used, {n_rejected / n:.1%}; "
        f"data.max_rejected_share is {max_share:.1%}. The first reasons:\n"
        + "".join(f"  {line}\n" for line in lines)
        + (f"  and {n_rejected - 3} more\n" if n_rejected > 3 else "")
        + f"All are listed in {rejected_path}. Mend the records"
        + (", or raise data.max_rejected_share to go on without them." if loaded.questions else ": none is left.")
    )


def split_dev(questions: Sequence[Question], share: float, seed: int) -> tuple[list[Question], list[Question]]:
    """Split into (train, dev) by a hash of (seed, clip), so that a clip is never on both sides.

    The clip counts by the last two parts of its path, a text-only question by its id: the split depends neither on the
    order of the questions nor on where the data lies. Clips that are parts of one file stay together: parts may
    overlap. About `share` of the clips are dev, not exactly.

    Raises DataError where `share` > 0 leaves a side empty.
    """
    train: list[Question] = []
    dev: list[Question] = []
    for question in questions:
        (dev if _unit_hash(seed, _clip_key(question)) < share else train).append(question)
    if share > 0 and not (train and dev):
        raise DataError(
            f"data.dev_share {share} of {len(questions)} questions leaves {len(train)} for training and {len(dev)} "
            "for development; choose another share, or set it to 0"
        )
    return train, dev


def _check_clips(clips: set[AudioSpan]) -> tuple[Mapping[AudioSpan, float], Mapping[AudioSpan, str]]:
    """(duration of each good clip, fault of each bad one)."""
    ordered = sorted(clips, key=lambda part: (part.path, part.start_s, part.end_s or math.inf))
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        checked = dict(zip(ordered, pool.map(_duration_or_fault, ordered), strict=True))
    durations_s = {clip: result for clip, result in checked.items() if not isinstance(result, str)}
    return durations_s, {clip: result for clip, result in checked.items() if isinstance(result, str)}


def _duration_or_fault(clip: AudioSpan) -> float | str:
    try:
        return check_audio(clip.path, clip.start_s, clip.end_s)
    except AudioError as error:
        return str(error)


def clip_name(question: Question) -> str:
    """The last two parts of its path, the same wherever the data lies, and what of the file is heard."""
    if question.audio is None:
        return ""
    return "/".join(question.audio.parts[-2:]) + fragment(question.start_s, question.end_s)


def _clip_key(question: Question) -> str:
    file = question.clip.removesuffix(fragment(question.start_s, question.end_s))
    return f"clip {file}" if file else f"id {question.id}"


def _unit_hash(seed: int, key: str) -> float:
    digest = hashlib.sha256(f"{seed} {key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
