"""Read questions from the records of R1-AQA, ms-swift and TRL, and from what people write in these formats.

R1-AQA has the question and its choices in fields. The other two have a conversation: the question and the choices stand
in the user's turn (prompt_choices.py), and the right answer in the column `solution` or `answer`, or in the assistant's
turn, whose thinking becomes the question's reasoning. A record without an id gets one that is made of its content.
"""

import hashlib
import json
import re
import string
from typing import Any

from harken.data.record_fields import answer_index, choices_field, find_answer, label_field, text_field
from harken.data.records import Record, RecordError
from harken.errors import short_repr
from harken.prepare.choices import clean_choices
from harken.prepare.clip_finder import ClipFinder
from harken.prepare.prompt_choices import PromptText, parse_prompt
from harken.questions.output_parts import reasoning
from harken.types import AudioSpan, Question

AUDIO_TAG = "<audio>"
_LETTER = re.compile(r"\s*\(?([A-Z])(?:[).:]\)?\s*(.*))?\s*", re.DOTALL)
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def read_r1_aqa(record: Record, clips: ClipFinder, source: str) -> Question:
    """Read one record of R1-AQA. Raises RecordError."""
    answer = _index(record.get("answer"))
    try:
        choices = choices_field(record, "multi_choice")
        if answer is not None and (type(answer) is not int or not 0 <= answer < len(choices)):
            raise RecordError(f"answer out of range: {short_repr(answer)} of {len(choices)} choices")
    except RecordError:
        choices, answer, _ = clean_choices(record.get("multi_choice"), answer, "multi_choice")
    text, audio = text_field(record, "question_text"), clips.find(record, "audio_path")
    return Question(
        id=_record_id(record, text, choices, audio),
        text=text,
        choices=choices,
        answer=answer,
        audio=audio,
        category=label_field(record, "question_relation"),
        subcategory=label_field(record, "question_type"),
        dataset=label_field(record, "dataset_name"),
        source=source,
    )


def read_ms_swift(record: Record, clips: ClipFinder, source: str) -> Question:
    """Read one record of ms-swift. Raises RecordError."""
    return _read_conversation(record, "messages", clips, source)


def read_trl(record: Record, clips: ClipFinder, source: str) -> Question:
    """Read one record of TRL, with a conversational prompt. Raises RecordError."""
    return _read_conversation(record, "prompt", clips, source)


def _read_conversation(record: Record, key: str, clips: ClipFinder, source: str) -> Question:
    """Read a conversation whose clip is a part of the user's turn, or a column beside an `<audio>` mark."""
    turns = _turns(record, key)
    text, parts = _text_and_sounds(turns["user"].get("content"), key)
    n_marks = text.count(AUDIO_TAG)
    if n_marks:
        text = text.replace(AUDIO_TAG, "").removeprefix("\n")
    sounds = {name: value for name, value in record.items() if name not in (key, "id")} | (
        {"audios": parts} if parts else {}
    )
    audio = clips.find(sounds, "audios")
    if n_marks not in (0, len(audio)) and not clips.text_only:
        raise RecordError(f"{key}: {n_marks} {AUDIO_TAG} in the text for {len(audio)} clips; expected one for each")
    return _question(record, parse_prompt(text), audio, turns, source)


def _text_and_sounds(content: Any, key: str) -> tuple[str, list[Any]]:
    """The text of a user's turn, and what its parts of sound hold."""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise RecordError(f"{key}: expected text or a list of parts, found {short_repr(content)}")
    texts = [text_field(part, "text") for part in parts if part.get("type") == "text"]
    sounds = [part for part in parts if part.get("type") in ("audio", "input_audio", "audio_url")]
    if len(texts) != 1 or len(texts) + len(sounds) != len(parts):
        raise RecordError(f"{key}: expected one text and parts of audio, found {short_repr(parts)}")
    return texts[0], [part for part in ({k: v for k, v in sound.items() if k != "type"} for sound in sounds) if part]


def _question(
    record: Record, prompt: PromptText, audio: tuple[AudioSpan, ...], turns: dict[str, Record], source: str
) -> Question:
    choices = choices_field({"choices": list(prompt.choices)})
    name, solution = _stated_answer(record, turns)
    return Question(
        id=_record_id(record, prompt.question, choices, audio),
        text=text_field({"question": prompt.question}, "question"),
        choices=choices,
        answer=None if solution is None else _right_choice(solution, choices, name, lettered=prompt.lettered),
        audio=audio,
        reasoning=reasoning(solution) if isinstance(solution, str) else "",
        source=source,
    )


def _stated_answer(record: Record, turns: dict[str, Record]) -> tuple[str, Any]:
    """(where it stands, the right answer): the column solution or answer, or else the assistant's turn."""
    for name in ("solution", "answer"):
        if record.get(name) is not None:
            return name, record[name]
    return "assistant", turns["assistant"].get("content") if "assistant" in turns else None


def _right_choice(solution: Any, choices: tuple[str, ...], name: str, *, lettered: bool) -> int:
    if not isinstance(solution, str):
        raise RecordError(f"{name}: expected text, found {short_repr(solution)}")
    match = _ANSWER.search(solution)
    answer = match[1] if match else solution
    letter = _LETTER.fullmatch(answer) if lettered else None
    if letter is not None and find_answer(answer, choices) is None:
        index = string.ascii_uppercase.find(letter[1])
        if index < len(choices):
            return index
    try:
        return answer_index(letter[2].strip() if letter is not None and letter[2] else answer, choices)
    except RecordError as error:
        raise RecordError(f"{name}: {error}") from error


def _turns(record: Record, key: str) -> dict[str, Record]:
    """The user's turn and, where there is one, the assistant's."""
    turns = record.get(key)
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise RecordError(f"{key}: expected a list of turns, found {short_repr(turns)}")
    roles = [str(turn.get("role")) for turn in turns if turn.get("role") != "system"]
    if sorted(roles) not in (["user"], ["assistant", "user"]):
        raise RecordError(f"{key}: expected one user's turn and at most one assistant's, found {short_repr(turns)}")
    return {str(turn.get("role")): turn for turn in turns}


def _index(value: Any) -> Any:
    """An index that stands as a text of digits, as a number; anything else as it is."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}", value.strip()) else value


def _record_id(record: Record, text: str, choices: tuple[str, ...], audio: tuple[AudioSpan, ...]) -> str:
    """The record's id. Where it has none, one that is made of its question, its choices and the name of its clip."""
    ident = record.get("id")
    if ident is None:
        content = json.dumps([text, list(choices), *(span.path.name for span in audio)], ensure_ascii=False)
        return f"made-{hashlib.sha256(content.encode('utf-8', 'replace')).hexdigest()[:16]}"
    return str(ident) if type(ident) is int else text_field(record, "id")
