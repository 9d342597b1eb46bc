"""Questions in the formats of R1-AQA, ms-swift and TRL, in and out.

Takes one record and gives a Question, and the other way:

    r1_aqa    {"id", "question_text", "multi_choice", "answer": index, "audio_path", "dataset_name", ...}
    ms_swift  {"id", "messages": [{"role": "user", "content": "<audio>..."}], "audios": [path], "solution"}
    trl       {"id", "prompt": [{"role": "user", "content": [{"type": "audio", "audio": path}, {"type": "text",
              "text": ...}]}], "solution"}

The last two hold one text for question and choices, written by harken's prompt and read back from it: the
question, `Please choose the answer from the following options:`, a list of quoted texts, and whatever follows.
`solution` is `<answer>choice</answer>`, as R1-AQA's rewards take it; an assistant's turn is read where it is missing.
Clips are written as absolute paths, which is what those programs open, and read inside an audio root only.
Not taken: further keys that would carry what a format has no place for. A question that would not come back the same is
an error when it is written.
"""

import ast
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from harken.config import PromptConfig
from harken.data.record_fields import choices_field, clip_path, label_field, text_field
from harken.data.records import Record, RecordError
from harken.errors import short_repr
from harken.prepare.choices import clean_choices
from harken.questions.prompt import Prompt
from harken.types import Question

_PROMPT = Prompt.from_config(PromptConfig())
_MARKER = " Please choose the answer from the following options: "
_LITERAL = re.compile(r"\s*('(?:[^'\\\n]|\\[^\n])*'|\"(?:[^\"\\\n]|\\[^\n])*\")\s*([,\]])")
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_AUDIO_TAG = "<audio>"


def read_r1_aqa(record: Record, audio_root: Path, source: str) -> Question:
    """One record of R1-AQA's JSON lines. Raises RecordError."""
    try:
        choices, answer = choices_field(record, "multi_choice"), record.get("answer")
        if answer is not None and (type(answer) is not int or not 0 <= answer < len(choices)):
            raise RecordError(f"answer out of range: {short_repr(answer)} of {len(choices)} choices")
    except RecordError:
        choices, answer, _ = clean_choices(record.get("multi_choice"), record.get("answer"), "multi_choice")
    return Question(
        id=_ident(record),
        text=text_field(record, "question_text"),
        choices=choices,
        answer=answer,
        audio=_clip(record.get("audio_path"), audio_root),
        category=label_field(record, "question_relation"),
        subcategory=label_field(record, "question_type"),
        dataset=label_field(record, "dataset_name"),
        source=source,
    )


def read_ms_swift(record: Record, audio_root: Path, source: str) -> Question:
    """One record of ms-swift's messages. Raises RecordError."""
    turns = _turns(record, "messages")
    content = text_field(turns["user"], "content")
    audios = record.get("audios")
    clips = audios if isinstance(audios, list) else [] if audios is None else [audios]
    if content.count(_AUDIO_TAG) != len(clips) or len(clips) > 1:
        raise RecordError(
            f"audios: {len(clips)} for {content.count(_AUDIO_TAG)} {_AUDIO_TAG} in the message; one at most"
        )
    text = content.removeprefix(_AUDIO_TAG) if clips else content
    if _AUDIO_TAG in text:
        raise RecordError(f"messages: {_AUDIO_TAG} stands inside the text, not before it: {short_repr(content)}")
    return _from_prompt(record, text.removeprefix("\n"), clips[0] if clips else None, turns, audio_root, source)


def read_trl(record: Record, audio_root: Path, source: str) -> Question:
    """One record of TRL's conversational prompts. Raises RecordError."""
    turns = _turns(record, "prompt")
    content = turns["user"].get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise RecordError(f"prompt: expected text or a list of parts, found {short_repr(content)}")
    texts = [text_field(part, "text") for part in parts if part.get("type") == "text"]
    sounds = [part for part in parts if part.get("type") in ("audio", "input_audio")]
    if len(texts) != 1 or len(sounds) > 1 or len(texts) + len(sounds) != len(parts):
        raise RecordError(f"prompt: expected one text and at most one audio, found {short_repr(parts)}")
    clips = [next((part[key] for key in ("audio", "audio_url", "path", "url") if part.get(key)), "") for part in sounds]
    return _from_prompt(record, texts[0], clips[0] if clips else None, turns, audio_root, source)


def write_r1_aqa(question: Question) -> Record:
    """A record that R1-AQA's code takes: it knows the data set name AVQA only. Raises RecordError for a question
    without a clip or an answer, which that code cannot do without."""
    if question.audio is None or question.answer is None:
        raise RecordError(f"no {'clip' if question.audio is None else 'answer'}: R1-AQA's format needs one")
    return {
        "id": question.id,
        "question_text": question.text,
        "multi_choice": list(question.choices),
        "answer": question.answer,
        "question_relation": question.category,
        "question_type": question.subcategory,
        "dataset_name": "AVQA",
        "audio_path": _absolute(question),
    }


def write_ms_swift(question: Question) -> Record:
    """A record for ms-swift's GRPO: the solution is a column beside the messages."""
    path = _absolute(question)
    tag = "" if path is None else _AUDIO_TAG
    messages = [{"role": "user", "content": tag + _PROMPT.text(question)}]
    audios = {} if path is None else {"audios": [path]}
    return {"id": question.id, "messages": messages, **audios, **_solution(question)}


def write_trl(question: Question) -> Record:
    """A record for TRL's GRPO."""
    path = _absolute(question)
    sound = [] if path is None else [{"type": "audio", "audio": path}]
    content = [*sound, {"type": "text", "text": _PROMPT.text(question)}]
    return {"id": question.id, "prompt": [{"role": "user", "content": content}], **_solution(question)}


FORMATS: dict[str, tuple[Callable[[Record, Path, str], Question], Callable[[Question], Record]]] = {
    "r1_aqa": (read_r1_aqa, write_r1_aqa),
    "ms_swift": (read_ms_swift, write_ms_swift),
    "trl": (read_trl, write_trl),
}


def to_record(question: Question, name: str) -> Record:
    """The question in a format; raises RecordError where reading it back would give another question."""
    if question.start_s != 0 or question.end_s is not None:
        raise RecordError("a part of a file: this format has no place for start_s and end_s; cut the clip")
    read, write = FORMATS[name]
    record = write(question)
    root = Path("/") if question.audio is None else Path(os.path.abspath(question.audio)).parent
    back = read(record, root, "")
    wanted = replace(question, audio=question.audio and Path(os.path.abspath(question.audio)))
    for key in ("id", "audio", "text", "choices", "answer"):
        if getattr(back, key) != getattr(wanted, key):
            raise RecordError(
                f"{key}: {short_repr(getattr(wanted, key))} would be read back as {short_repr(getattr(back, key))}"
            )
    return record


def parse_prompt(text: str) -> tuple[str, tuple[str, ...]]:
    """(question, choices) of a prompt's text. Raises RecordError."""
    place = text.find(_MARKER)
    while place >= 0:
        choices = _quoted_list(text, place + len(_MARKER))
        if choices is not None:
            return text[:place], choices
        place = text.find(_MARKER, place + 1)
    raise RecordError(f"prompt: expected `<question>{_MARKER}['a', 'b', ...]`, found {short_repr(text)}")


def _quoted_list(text: str, start: int) -> tuple[str, ...] | None:
    """The list of string literals that begins at `start`; None where there is none. Nothing is evaluated but each
    literal by itself."""
    if text[start : start + 1] != "[":
        return None
    choices: list[str] = []
    position, end = start + 1, ","
    while end == ",":
        found = _LITERAL.match(text, position)
        if found is None:
            return None
        try:
            choices.append(ast.literal_eval(found[1]))
            choices[-1].encode("utf-8")
        except (SyntaxError, ValueError):  # a bad escape, half of a surrogate pair
            return None
        position, end = found.end(), found[2]
    return tuple(choices)


def _from_prompt(
    record: Record, text: str, clip: object, turns: dict[str, Record], audio_root: Path, source: str
) -> Question:
    asked, texts = parse_prompt(text)
    choices = choices_field({"choices": list(texts)})
    said = record.get("solution")
    if said is None and "assistant" in turns:
        said = turns["assistant"].get("content")
    return Question(
        id=_ident(record),
        text=text_field({"question": asked}, "question"),
        choices=choices,
        answer=None if said is None else _index(said, choices),
        audio=_clip(clip, audio_root),
        source=source,
    )


def _index(said: Any, choices: tuple[str, ...]) -> int:
    if not isinstance(said, str):
        raise RecordError(f"solution: expected text, found {short_repr(said)}")
    found = _ANSWER.search(said)
    answer = found[1] if found else said
    for read in (str, str.strip):
        texts = [read(choice) for choice in choices]
        if read(answer) in texts:
            return texts.index(read(answer))
    raise RecordError(
        f"solution: {short_repr(answer)} is not one of the {len(choices)} choices {short_repr(list(choices))}"
    )


def _solution(question: Question) -> Record:
    if question.answer is None:
        return {}
    return {"solution": f"<answer>{question.choices[question.answer]}</answer>"}


def _turns(record: Record, key: str) -> dict[str, Record]:
    """The user's turn and, where there is one, the assistant's."""
    turns = record.get(key)
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise RecordError(f"{key}: expected a list of turns, found {short_repr(turns)}")
    by_role = {str(turn.get("role")): turn for turn in turns if turn.get("role") != "system"}
    if (
        "user" not in by_role
        or not by_role.keys() <= {"user", "assistant"}
        or len(by_role) < len([turn for turn in turns if turn.get("role") != "system"])
    ):
        raise RecordError(f"{key}: expected one user's turn and at most one assistant's, found {short_repr(turns)}")
    return by_role


def _ident(record: Record) -> str:
    ident = record.get("id")
    return str(ident) if type(ident) is int else text_field(record, "id")


def _clip(name: object, audio_root: Path) -> Path | None:
    """A clip name, relative to the root or absolute inside it."""
    if name is None:
        return None
    if isinstance(name, str) and os.path.isabs(name):
        name = os.path.relpath(name, os.path.abspath(audio_root))
    return clip_path(name, audio_root)


def _absolute(question: Question) -> str | None:
    return None if question.audio is None else os.path.abspath(question.audio)
