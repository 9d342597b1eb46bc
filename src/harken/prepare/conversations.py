"""Finds what the user says and what the assistant answers in a record, in the forms that training programs take.

    {"messages": [{"role": "user", "content": ...}, {"role": "assistant", ...}]}     ms-swift, TRL
    {"prompt": [turn] or text, "completion": [turn] or text}                         TRL
    {"conversations": [{"from": "human", "value": ...}, {"from": "gpt", ...}]}       ShareGPT
    {"conversation": [{"human": ..., "assistant": ...}]}                             ms-swift's ShareGPT
    {"query": text, "response": text}                                                ms-swift
    {"instruction": text, "input": text, "output": text}                             Alpaca

A content is a text or a list of parts, of text or of sound. A list may stand as JSON text, as columns of data sets hold
it.
"""

import re
from dataclasses import dataclass
from typing import Any

from harken.data.record_fields import text_field
from harken.data.records import Record, RecordError
from harken.errors import short_repr
from harken.system.json_text import parse_json

AUDIO_TAG = "<audio>"
"""Where a clip stands in a text of ms-swift's."""
_LISTS = ("messages", "prompt", "conversations", "conversation")
_QUESTIONS = ("query", "question", "problem")
_REPLIES = ("completion", "response", "output", "target", "targets")
CONVERSATION_KEYS = frozenset(
    [*_LISTS, *_QUESTIONS, *_REPLIES, "instruction", "input", "system", "history", "solution", "answer"]
)
"""Keys that hold text of the conversation and never a clip."""
QUESTION_KEYS = frozenset([*_LISTS, *_QUESTIONS, "instruction"])
"""Keys one of which holds what the user says."""
_ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}
_MARK = re.compile(
    r"<audio>([^<>\n]+)</audio>|<audio>|<sound>"
    r"|(?:Audio [0-9]+: ?)?<\|audio_bos\|>(?:<\|AUDIO\|>)+<\|audio_eos\|>\n?|<\|AUDIO\|>\n?"
)


@dataclass(frozen=True, slots=True)
class Conversation:
    """One question and its answer.

    Attributes:
        text: of the user, without the marks of clips and the line break behind them.
        sounds: what stands for clips inside the conversation: names and parts of sound, in order.
        n_marks: places in the text, and parts of sound without a name, that say that a clip stands there.
        answer: of the assistant, None where there is none.
    """

    text: str
    sounds: list[Any]
    n_marks: int
    answer: Any


def read_conversation(record: Record, first_key: str) -> Conversation:
    """Read the conversation of a record.

    Args:
        first_key: of the format, which is looked at before the other keys.

    Raises RecordError where there is none, or more than one turn of each.
    """
    for key in (first_key, *_LISTS):
        if record.get(key) is not None:
            turns = _turns(record[key], key)
            user = turns["user"]
            answer = turns["assistant"] if "assistant" in turns else _reply(record)
            break
    else:
        key, user = _question(record, first_key)
        answer = _reply(record)
    text, parts = _text_and_sounds(user, key)
    marks = list(_MARK.finditer(text))
    sounds = [*filter(None, parts), *(match[1].strip() for match in marks if match[1])]
    if marks:
        text = _MARK.sub("", text).removeprefix("\n")
    return Conversation(text, sounds, len(marks) + parts.count({}), _plain_text(answer))


def _question(record: Record, first_key: str) -> tuple[str, str]:
    """(its key, the text of the user) in a record without a list of turns."""
    if isinstance(record.get("instruction"), str):
        more = record.get("input")
        parts = [record["instruction"], more if isinstance(more, str) else ""]
        return "instruction", "\n".join(part for part in parts if part.strip())
    for key in _QUESTIONS:
        if isinstance(record.get(key), str):
            return key, record[key]
    raise RecordError(f"{first_key}: expected a list of turns, found {short_repr(record.get(first_key))}")


def _reply(record: Record) -> Any:
    """What a column holds as the assistant's answer."""
    for key in _REPLIES:
        value = _from_json(record.get(key))
        if isinstance(value, list):
            return _turns(value, key, needed="assistant")["assistant"]
        if value is not None:
            return value
    return None


def _turns(value: Any, key: str, *, needed: str = "user") -> dict[str, Any]:
    """Role -> content, of at most one turn of the user and one of the assistant."""
    if isinstance(value, str) and not isinstance(_from_json(value), list):
        return {needed: value}
    turns = _from_json(value)
    turns = [_from_json(turn) for turn in turns] if isinstance(turns, list) else turns
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise RecordError(f"{key}: expected a list of turns, found {short_repr(value)}")
    pairs = [pair for turn in turns for pair in _roles(turn) if pair[0] != "system"]
    roles = sorted(role for role, _ in pairs)
    if roles not in ([needed], ["assistant", "user"]):
        raise RecordError(f"{key}: expected one user's turn and at most one assistant's, found {short_repr(turns)}")
    return dict(pairs)


def _roles(turn: Record) -> list[tuple[str, Any]]:
    """(role, content) of a turn; two of ms-swift's `{human, assistant}`."""
    if "role" in turn or "from" in turn:
        role = str(turn.get("role", turn.get("from"))).lower()
        return [(_ROLES.get(role, role), turn.get("content", turn.get("value")))]
    return [(_ROLES.get(role, role), content) for role, content in turn.items() if content is not None]


def _text_and_sounds(content: Any, key: str) -> tuple[str, list[Record]]:
    """The text of a user's turn, and what each of its parts of sound holds, {} for a part that only marks a place."""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else _from_json(content)
    parts = [_from_json(part) for part in parts] if isinstance(parts, list) else parts
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise RecordError(f"{key}: expected text or a list of parts, found {short_repr(content)}")
    texts = [text_field(part, "text") for part in parts if part.get("type") in ("text", "input_text")]
    sounds = [part for part in parts if part.get("type") in ("audio", "input_audio", "audio_url")]
    if not texts or len(texts) + len(sounds) != len(parts):
        raise RecordError(f"{key}: expected text and parts of audio, found {short_repr(parts)}")
    return "\n".join(texts), [
        {name: part[name] for name in part if name != "type" and part[name] is not None} for part in sounds
    ]


def _plain_text(content: Any) -> Any:
    """The text of an answer that stands in one part; any other content as it is."""
    parts = _from_json(content)
    if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], dict) and "text" in parts[0]:
        return parts[0]["text"]
    return content


def _from_json(value: Any) -> Any:
    """The list or object that a text of JSON holds; any other value as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        return parse_json(value, constants=True)
    except ValueError:
        return value
