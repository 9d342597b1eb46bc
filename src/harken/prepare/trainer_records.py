"""Read questions from the records of R1-AQA, ms-swift and TRL, and from what people write in these formats.

R1-AQA has the question and its choices in fields. The other two have a conversation (conversations.py): the question
and the choices stand in the user's turn (prompt_choices.py), and the right answer in the column `solution` or `answer`,
or in the assistant's turn, whose thinking becomes the question's reasoning. A record without an id gets one that is
made of its content.
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
from harken.prepare.conversations import CONVERSATION_KEYS, Conversation, read_conversation
from harken.prepare.prompt_choices import PromptText, choices_in_text, parse_prompt
from harken.questions.output_parts import reasoning
from harken.types import AudioSpan, Question

_CHOICES = ("multi_choice", "choices", "options")
_LETTER = re.compile(r"\s*\(?([A-Z])(?:[).:]\)?\s*(.*))?\s*", re.DOTALL)
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def read_r1_aqa(record: Record, clips: ClipFinder, source: str) -> Question:
    """Read one record of R1-AQA, whose keys may also be called `question`, and `choices` or `options`.

    Raises RecordError.
    """
    key = choices_key(record) or "multi_choice"
    value = _list_of(record.get(key))
    answer = _index_or_text(record.get("answer"), value)
    try:
        choices = choices_field({key: value} if key in record else {}, key)
        if answer is not None and (type(answer) is not int or not 0 <= answer < len(choices)):
            raise RecordError(f"answer out of range: {short_repr(answer)} of {len(choices)} choices")
    except RecordError:
        choices, answer, _ = clean_choices(value, answer, key)
    text = text_field(record, "question" if "question_text" not in record and "question" in record else "question_text")
    audio = clips.find(record, "audio_path")
    return Question(
        id=record_id(record, text, choices, audio),
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
    """Read a conversation whose clip is a part of the user's turn, or a column beside a mark such as `<audio>`."""
    talk = read_conversation(record, key)
    columns = {name: value for name, value in record.items() if name not in CONVERSATION_KEYS}
    audio = clips.find(columns | ({"audios": talk.sounds} if talk.sounds else {}), "audios")
    if talk.n_marks not in (0, len(audio)) and not clips.text_only:
        raise RecordError(f"{key}: places of a clip in the text: {talk.n_marks}, clips: {len(audio)}")
    prompt = _prompt(record, talk)
    choices = choices_field({"choices": list(prompt.choices)})
    name, solution = stated_answer(record, talk)
    return Question(
        id=record_id(record, prompt.question, choices, audio),
        text=text_field({"question": prompt.question}, "question"),
        choices=choices,
        answer=None if solution is None else _right_choice(solution, choices, name, lettered=prompt.lettered),
        audio=audio,
        reasoning=reasoning(solution) if isinstance(solution, str) else "",
        source=source,
    )


def _prompt(record: Record, talk: Conversation) -> PromptText:
    """The question and its choices; the choices may stand in a field beside the conversation."""
    try:
        return parse_prompt(talk.text)
    except RecordError:
        key = choices_key(record)
        if key is None:
            raise
        return PromptText(talk.text.strip(), choices_field({key: _list_of(record[key])}, key), lettered=True)


def choices_key(record: Record) -> str | None:
    return next((key for key in _CHOICES if record.get(key) is not None), None)


def _list_of(value: Any) -> Any:
    """The list that a text such as `['a', 'b']` holds; any other value as it is."""
    choices = choices_in_text(value) if isinstance(value, str) else None
    return value if choices is None else list(choices)


def stated_answer(record: Record, talk: Conversation) -> tuple[str, Any]:
    """(where it stands, the right answer): the column solution or answer, or else the assistant's turn."""
    for name in ("solution", "answer"):
        if record.get(name) is not None:
            return name, record[name]
    return "assistant", talk.answer


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


def _index_or_text(answer: Any, choices: Any) -> Any:
    """The index of an answer that stands as the text of a choice, as its letter, or as digits; other values as they
    are."""
    if not isinstance(answer, str) or not isinstance(choices, list):
        return answer
    texts = [choice if isinstance(choice, str) else str(choice) for choice in choices]
    index = find_answer(answer, texts)
    if index is not None:
        return index
    if re.fullmatch(r"[0-9]{1,3}", answer.strip()):
        return int(answer)
    try:
        return _right_choice(answer, tuple(texts), "answer", lettered=True)
    except RecordError:
        return answer


def record_id(record: Record, text: str, choices: tuple[str, ...], audio: tuple[AudioSpan, ...]) -> str:
    """The record's id. Where it has none, one that is made of its question, its choices and the name of its clip."""
    ident = record.get("id")
    if ident is None:
        content = json.dumps([text, list(choices), *(span.path.name for span in audio)], ensure_ascii=False)
        return f"made-{hashlib.sha256(content.encode('utf-8', 'replace')).hexdigest()[:16]}"
    return str(ident) if type(ident) is int else text_field(record, "id")
