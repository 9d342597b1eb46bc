"""Reads questions without choices: a question with the text of its answer, or a recording with its transcript.

    {"question": "Who speaks?", "answer": "a woman", "audio": "a.wav"}       also as a conversation, as TRL and ms-swift
                                                                             have it, and under R1-AQA's keys
    {"audio": {"bytes": ...}, "text": "MEET ME AT NOON"}                     a recording with what is said in it

The answer becomes the reference that a judge or the word error rate compares with. A question that has choices, as in
harken's own manifests, loses them: the right choice is the reference. Its id gets `-open` behind it, so that a run can
train on the questions with and without their choices.
"""

from dataclasses import replace
from typing import Any

from harken.data.record_fields import label_field, text_field
from harken.data.records import Record, RecordError
from harken.errors import short_repr
from harken.prepare.clip_finder import ClipFinder
from harken.prepare.conversations import CONVERSATION_KEYS, QUESTION_KEYS, read_conversation
from harken.prepare.prompt_choices import parse_prompt
from harken.prepare.trainer_records import choices_key, read_r1_aqa, read_trl, record_id, stated_answer
from harken.questions.output_parts import answer_part, reasoning
from harken.questions.prompt import TRANSCRIBE
from harken.types import Question

TRANSCRIPT_KEYS = ("transcript", "transcription", "sentence", "text", "normalized_text")
"""Keys under which speech data sets hold what is said, in the order in which they are looked at."""


def read_open(record: Record, clips: ClipFinder, source: str) -> Question:
    """Read one record; without a question it asks for the transcript. Raises RecordError."""
    if "question_text" in record and "question" not in record:
        record = {**record, "question": record["question_text"]}
    key = choices_key(record)
    has_choices = key is not None and record[key] != []  # an open question of a manifest has an empty list
    if "answer_text" in record or has_choices:  # a manifest calls the question `text`
        record = {"question": record.get("text"), **record}
    if has_choices:
        return _without_choices(read_r1_aqa(record, clips, source), label_field(record, "answer_text"))
    if not any(record.get(key) is not None for key in QUESTION_KEYS):
        name = next((key for key in TRANSCRIPT_KEYS if record.get(key) is not None), TRANSCRIPT_KEYS[0])
        columns = {key: value for key, value in record.items() if key != name}
        return _open(record, TRANSCRIBE, name, record.get(name), columns, clips, source)
    talk = read_conversation(record, "messages")
    if _shows_choices(talk.text):
        return _without_choices(read_trl(record, clips, source), "")
    name, answer = ("answer_text", record["answer_text"]) if "answer_text" in record else stated_answer(record, talk)
    columns = {key: value for key, value in record.items() if key not in CONVERSATION_KEYS}
    columns |= {"audios": talk.sounds} if talk.sounds else {}
    return _open(record, talk.text.strip(), name, answer, columns, clips, source)


def _open(
    record: Record, text: str, name: str, answer: Any, columns: Record, clips: ClipFinder, source: str
) -> Question:
    """The question whose answer stands under the key `name`; its clip is in one of the columns."""
    if answer is None:
        raise RecordError(f"{name}: no answer, so there is no reference; an answer stands under answer or solution")
    if not isinstance(answer, str):
        raise RecordError(f"{name}: expected text, found {short_repr(answer)}")
    reference = text_field({name: (answer_part(answer) or "").strip()}, name)
    audio = clips.find(columns, "audios")
    return Question(
        id=record_id(record, text, (reference,), audio),
        text=text_field({"question": text}, "question"),
        choices=(),
        answer=None,
        audio=audio,
        answer_text=reference,
        reasoning=reasoning(answer),
        source=source,
    )


def _shows_choices(text: str) -> bool:
    try:
        parse_prompt(text)
    except RecordError:
        return False
    return True


def _without_choices(asked: Question, answer_text: str) -> Question:
    """The open question made of one with choices.

    Args:
        answer_text: the right answer where it is none of the choices, else "".
    """
    if asked.answer is None and not answer_text:
        raise RecordError("answer: hidden, so there is no reference")
    reference = answer_text if asked.answer is None else asked.choices[asked.answer]
    return replace(asked, id=f"{asked.id}-open", choices=(), answer=None, answer_text=reference)
