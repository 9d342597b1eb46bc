"""Read and write questions in the record formats of R1-AQA, AudioMCQ, ms-swift and TRL, and read open questions.

    r1_aqa    {"id", "question_text", "multi_choice", "answer": index, "audio_path", "dataset_name", ...}
    audiomcq  {"id", "question", "choices", "answer": text, "audio_path", "source_dataset", "question_type"}
    ms_swift  {"id", "messages": [{"role": "user", "content": "<audio>..."}], "audios": [path], "solution"}
    trl       {"id", "prompt": [{"role": "user", "content": [{"type": "audio", "audio": path}, {"type": "text",
              "text": ...}]}], "solution"}
    open      questions without choices and transcripts, in any of these forms; read alone (open_records.py)

ms_swift and trl hold question and choices in one text, which harken writes with its own prompt. `solution` is
`<answer>choice</answer>`, as R1-AQA's rewards expect it. Clips are written as absolute paths, because those programs
open them as they are. trainer_records.py reads the formats. A question that would not be read back the same is an
error when it is written.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harken.config import PromptConfig
from harken.data.records import Record, RecordError
from harken.errors import short_repr
from harken.prepare.clip_finder import ClipFinder
from harken.prepare.conversations import AUDIO_TAG
from harken.prepare.open_records import read_open
from harken.prepare.trainer_records import read_ms_swift, read_r1_aqa, read_trl
from harken.questions.prompt import Prompt
from harken.types import AudioSpan, Question

_PROMPT = Prompt.from_config(PromptConfig())


def write_r1_aqa(question: Question) -> Record:
    """Write a record for R1-AQA, whose code knows the data set name AVQA only.

    Raises RecordError for a question without a clip or an answer, which that code needs.
    """
    path, answer = _clip_and_answer(question, "R1-AQA")
    return {
        "id": question.id,
        "question_text": question.text,
        "multi_choice": list(question.choices),
        "answer": answer,
        "question_relation": question.category,
        "question_type": question.subcategory,
        "dataset_name": "AVQA",
        "audio_path": path,
    }


def write_audiomcq(question: Question) -> Record:
    """Write a record of AudioMCQ. Raises RecordError for a question without a clip or an answer."""
    path, answer = _clip_and_answer(question, "AudioMCQ")
    return {
        "source_dataset": question.dataset,
        "id": question.id,
        "question_type": question.subcategory or question.task,
        "audio_path": path,
        "question": question.text,
        "choices": list(question.choices),
        "answer": question.choices[answer],
    }


def write_ms_swift(question: Question) -> Record:
    """Write a record for ms-swift's GRPO; the solution is a column beside the messages."""
    paths = _paths(question)
    messages = [{"role": "user", "content": AUDIO_TAG * len(paths) + _PROMPT.text(question)}]
    audios = {"audios": paths} if paths else {}
    return {"id": question.id, "messages": messages, **audios, **_solution(question)}


def write_trl(question: Question) -> Record:
    """Write a record for TRL's GRPO."""
    sounds = [{"type": "audio", "audio": path} for path in _paths(question)]
    content = [*sounds, {"type": "text", "text": _PROMPT.text(question)}]
    return {"id": question.id, "prompt": [{"role": "user", "content": content}], **_solution(question)}


Read = Callable[[Record, ClipFinder, str], Question]
"""Takes a record, the clips of its source and its place; raises RecordError."""


@dataclass(frozen=True, slots=True)
class RecordFormat:
    """A format that harken reads and writes; both functions raise RecordError."""

    read: Read
    write: Callable[[Question], Record]


FORMATS = {
    "r1_aqa": RecordFormat(read_r1_aqa, write_r1_aqa),
    "audiomcq": RecordFormat(read_r1_aqa, write_audiomcq),
    "ms_swift": RecordFormat(read_ms_swift, write_ms_swift),
    "trl": RecordFormat(read_trl, write_trl),
}
READERS: dict[str, Read] = {name: form.read for name, form in FORMATS.items()} | {"open": read_open}
"""Name of a format -> how `harken prepare jsonl` reads it."""


def to_record(question: Question, name: str) -> Record:
    """Write a question in a format. Raises RecordError where reading it back would give another question."""
    if any(span.start_s != 0 or span.end_s is not None for span in question.audio_spans):
        raise RecordError("a part of a file: this format has no place for start_s and end_s; cut the clip")
    paths = [Path(os.path.abspath(span.path)) for span in question.audio_spans]
    written = replace(question, audio=tuple(map(AudioSpan, paths)))
    record = FORMATS[name].write(written)
    root = paths[0].parent if len(paths) == 1 else Path("/")
    read_back = FORMATS[name].read(record, ClipFinder(root, root), "")
    for key in ("id", "audio", "text", "choices", "answer"):
        before, after = getattr(written, key), getattr(read_back, key)
        if before != after:
            raise RecordError(f"{key}: {short_repr(before)} would be read back as {short_repr(after)}")
    return record


def _clip_and_answer(question: Question, program: str) -> tuple[str, int]:
    """The path of the clip and the index of the right choice, which formats of fields need."""
    paths = _paths(question)
    if not paths or question.answer is None:
        raise RecordError(f"no {'answer' if paths else 'clip'}: {program}'s format needs one")
    if len(paths) > 1:
        raise RecordError(f"{len(paths)} clips: {program}'s format has a place for one")
    return paths[0], question.answer


def _solution(question: Question) -> Record:
    if question.answer is None:
        return {}
    return {"solution": f"<answer>{question.choices[question.answer]}</answer>"}


def _paths(question: Question) -> list[str]:
    return [str(span.path) for span in question.audio_spans]
