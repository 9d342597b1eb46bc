"""Read and write questions in the record formats of R1-AQA, ms-swift and TRL.

    r1_aqa    {"id", "question_text", "multi_choice", "answer": index, "audio_path", "dataset_name", ...}
    ms_swift  {"id", "messages": [{"role": "user", "content": "<audio>..."}], "audios": [path, ...], "solution"}
    trl       {"id", "prompt": [{"role": "user", "content": [{"type": "audio", "audio": path}, {"type": "text",
              "text": ...}]}], "solution"}

ms_swift and trl hold question and choices in one text. harken writes it with its own prompt and reads it back from
there: the question, `Please choose the answer from the following options:`, a list of quoted texts, and anything after
it. `solution` is `<answer>choice</answer>`, as R1-AQA's rewards expect it; where it is missing, an assistant's turn is
read. Clips are written as absolute paths, because those programs open them as they are, and they are read only inside
an audio root. A question that would not be read back the same is an error when it is written.
"""

import ast
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harken.config import PromptConfig
from harken.data.record_fields import answer_index, choices_field, clip_path, label_field, text_field
from harken.data.records import Record, RecordError
from harken.errors import short_repr
from harken.prepare.choices import clean_choices
from harken.questions.prompt import Prompt
from harken.types import AudioSpan, Question

_PROMPT = Prompt.from_config(PromptConfig())
_MARKER = " Please choose the answer from the following options: "
_QUOTED_TEXT = re.compile(r"\s*('(?:[^'\\\n]|\\[^\n])*'|\"(?:[^\"\\\n]|\\[^\n])*\")\s*([,\]])")
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_AUDIO_TAG = "<audio>"


def read_r1_aqa(record: Record, audio_root: Path, source: str) -> Question:
    """Read one record of R1-AQA. Raises RecordError."""
    try:
        choices, answer = choices_field(record, "multi_choice"), record.get("answer")
        if answer is not None and (type(answer) is not int or not 0 <= answer < len(choices)):
            raise RecordError(f"answer out of range: {short_repr(answer)} of {len(choices)} choices")
    except RecordError:
        choices, answer, _ = clean_choices(record.get("multi_choice"), record.get("answer"), "multi_choice")
    return Question(
        id=_record_id(record),
        text=text_field(record, "question_text"),
        choices=choices,
        answer=answer,
        audio=_clip_inside(audio_root, record.get("audio_path")),
        category=label_field(record, "question_relation"),
        subcategory=label_field(record, "question_type"),
        dataset=label_field(record, "dataset_name"),
        source=source,
    )


def read_ms_swift(record: Record, audio_root: Path, source: str) -> Question:
    """Read one record of ms-swift. Raises RecordError."""
    turns = _turns(record, "messages")
    content = text_field(turns["user"], "content")
    audios = record.get("audios")
    clips = audios if isinstance(audios, list) else [] if audios is None else [audios]
    if content.count(_AUDIO_TAG) != len(clips):
        n_tags = content.count(_AUDIO_TAG)
        raise RecordError(f"audios: {len(clips)} for {n_tags} {_AUDIO_TAG} in the message; expected one for each")
    text = content.removeprefix(_AUDIO_TAG * len(clips))
    if _AUDIO_TAG in text:
        raise RecordError(f"messages: {_AUDIO_TAG} stands inside the text, not before it: {short_repr(content)}")
    paths = _clips_inside(audio_root, clips)
    return _question(record, text.removeprefix("\n"), paths, turns, source)


def read_trl(record: Record, audio_root: Path, source: str) -> Question:
    """Read one record of TRL, with a conversational prompt. Raises RecordError."""
    turns = _turns(record, "prompt")
    content = turns["user"].get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise RecordError(f"prompt: expected text or a list of parts, found {short_repr(content)}")
    texts = [text_field(part, "text") for part in parts if part.get("type") == "text"]
    sounds = [part for part in parts if part.get("type") in ("audio", "input_audio")]
    if len(texts) != 1 or len(texts) + len(sounds) != len(parts):
        raise RecordError(f"prompt: expected one text and parts of audio, found {short_repr(parts)}")
    clips = [next((part[key] for key in ("audio", "audio_url", "path", "url") if part.get(key)), "") for part in sounds]
    return _question(record, texts[0], _clips_inside(audio_root, clips), turns, source)


def write_r1_aqa(question: Question) -> Record:
    """Write a record for R1-AQA, whose code knows the data set name AVQA only.

    Raises RecordError for a question without a clip or an answer, which that code needs.
    """
    paths = _absolute_paths(question)
    if not paths or question.answer is None:
        raise RecordError(f"no {'answer' if paths else 'clip'}: R1-AQA's format needs one")
    if len(paths) > 1:
        raise RecordError(f"{len(paths)} clips: R1-AQA's format has a place for one")
    return {
        "id": question.id,
        "question_text": question.text,
        "multi_choice": list(question.choices),
        "answer": question.answer,
        "question_relation": question.category,
        "question_type": question.subcategory,
        "dataset_name": "AVQA",
        "audio_path": paths[0],
    }


def write_ms_swift(question: Question) -> Record:
    """Write a record for ms-swift's GRPO; the solution is a column beside the messages."""
    paths = _absolute_paths(question)
    messages = [{"role": "user", "content": _AUDIO_TAG * len(paths) + _PROMPT.text(question)}]
    audios = {"audios": paths} if paths else {}
    return {"id": question.id, "messages": messages, **audios, **_solution(question)}


def write_trl(question: Question) -> Record:
    """Write a record for TRL's GRPO."""
    sounds = [{"type": "audio", "audio": path} for path in _absolute_paths(question)]
    content = [*sounds, {"type": "text", "text": _PROMPT.text(question)}]
    return {"id": question.id, "prompt": [{"role": "user", "content": content}], **_solution(question)}


@dataclass(frozen=True, slots=True)
class RecordFormat:
    """`read` takes a record, the folder of its clips and its place; both functions raise RecordError."""

    read: Callable[[Record, Path, str], Question]
    write: Callable[[Question], Record]


FORMATS = {
    "r1_aqa": RecordFormat(read_r1_aqa, write_r1_aqa),
    "ms_swift": RecordFormat(read_ms_swift, write_ms_swift),
    "trl": RecordFormat(read_trl, write_trl),
}


def to_record(question: Question, name: str) -> Record:
    """Write a question in a format. Raises RecordError where reading it back would give another question."""
    if any(span.start_s != 0 or span.end_s is not None for span in question.audio_spans):
        raise RecordError("a part of a file: this format has no place for start_s and end_s; cut the clip")
    record = FORMATS[name].write(question)
    paths = [Path(path) for path in _absolute_paths(question)]
    written = replace(question, audio=tuple(map(AudioSpan, paths)))
    read_back = FORMATS[name].read(record, paths[0].parent if len(paths) == 1 else Path("/"), "")
    for key in ("id", "audio", "text", "choices", "answer"):
        before, after = getattr(written, key), getattr(read_back, key)
        if before != after:
            raise RecordError(f"{key}: {short_repr(before)} would be read back as {short_repr(after)}")
    return record


def parse_prompt(text: str) -> tuple[str, tuple[str, ...]]:
    """Read the question and its choices from the text of a prompt. Raises RecordError."""
    start = text.find(_MARKER)
    while start >= 0:
        choices = _quoted_list(text, start + len(_MARKER))
        if choices is not None:
            return text[:start], choices
        start = text.find(_MARKER, start + 1)
    raise RecordError(f"prompt: expected `<question>{_MARKER}['a', 'b', ...]`, found {short_repr(text)}")


def _quoted_list(text: str, start: int) -> tuple[str, ...] | None:
    """Read the list of quoted texts that begins at `start`; None where there is none. Only quoted texts are evaluated,
    each by itself."""
    if text[start : start + 1] != "[":
        return None
    choices: list[str] = []
    position, end = start + 1, ","
    while end == ",":
        match = _QUOTED_TEXT.match(text, position)
        if match is None:
            return None
        try:
            choices.append(ast.literal_eval(match[1]))
            choices[-1].encode("utf-8")
        except (SyntaxError, ValueError):  # a bad escape, half of a surrogate pair
            return None
        position, end = match.end(), match[2]
    return tuple(choices)


def _question(
    record: Record, prompt: str, clips: tuple[AudioSpan, ...], turns: dict[str, Record], source: str
) -> Question:
    question_text, texts = parse_prompt(prompt)
    choices = choices_field({"choices": list(texts)})
    solution = record.get("solution")
    if solution is None and "assistant" in turns:
        solution = turns["assistant"].get("content")
    return Question(
        id=_record_id(record),
        text=text_field({"question": question_text}, "question"),
        choices=choices,
        answer=None if solution is None else _right_choice(solution, choices),
        audio=clips,
        source=source,
    )


def _right_choice(solution: Any, choices: tuple[str, ...]) -> int:
    if not isinstance(solution, str):
        raise RecordError(f"solution: expected text, found {short_repr(solution)}")
    match = _ANSWER.search(solution)
    answer = match[1] if match else solution
    try:
        return answer_index(answer, choices)
    except RecordError as error:
        raise RecordError(f"solution: {error}") from error


def _solution(question: Question) -> Record:
    if question.answer is None:
        return {}
    return {"solution": f"<answer>{question.choices[question.answer]}</answer>"}


def _turns(record: Record, key: str) -> dict[str, Record]:
    """The user's turn and, where there is one, the assistant's."""
    turns = record.get(key)
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise RecordError(f"{key}: expected a list of turns, found {short_repr(turns)}")
    roles = [str(turn.get("role")) for turn in turns if turn.get("role") != "system"]
    if sorted(roles) not in (["user"], ["assistant", "user"]):
        raise RecordError(f"{key}: expected one user's turn and at most one assistant's, found {short_repr(turns)}")
    return {str(turn.get("role")): turn for turn in turns}


def _record_id(record: Record) -> str:
    ident = record.get("id")
    return str(ident) if type(ident) is int else text_field(record, "id")


def _clip_inside(audio_root: Path, name: object) -> Path | None:
    """The path of a clip, whose name is relative to the root or an absolute path inside it; None without a clip."""
    if name is None:
        return None
    if isinstance(name, str) and os.path.isabs(name):
        name = os.path.relpath(name, os.path.abspath(audio_root))
    return clip_path(name, audio_root)


def _clips_inside(audio_root: Path, names: Iterable[object]) -> tuple[AudioSpan, ...]:
    return tuple(AudioSpan(path) for name in names if (path := _clip_inside(audio_root, name)) is not None)


def _absolute_paths(question: Question) -> list[str]:
    return [os.path.abspath(span.path) for span in question.audio_spans]
