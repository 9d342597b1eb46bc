"""One JSON object out of a model's reply.

Takes the text of a reply, gives the one object that it holds, or a BadReplyError whose message says what is wrong in
words that the model can act on and a table can count: `kind: detail`. Text around the object, a code fence and thinking
before it are passed over; two objects are one too many. Time is bounded whatever the text. Not taken: mending JSON.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from harken.errors import short_repr

MAX_CHARACTERS = 100_000
_MAX_STARTS = 200
_TAG = re.compile(r"<\|.*?\|>|</?(?:think|answer)>", re.DOTALL)


class BadReplyError(ValueError):
    """A reply that cannot be used; the message is the reason."""


def object_in(text: str, keys: Sequence[str]) -> dict[str, Any]:
    """The only object in `text` that has any of `keys`; it must have all of them.

    Raises BadReplyError for none, several, a missing key, or a text too long to be an answer.
    """
    if len(text) > MAX_CHARACTERS:
        raise BadReplyError(f"too long: {len(text)} characters")
    found = _objects(text.rpartition("</think>")[2], keys) or _objects(text, keys)
    if not found:
        raise BadReplyError(f"no JSON: no object with the keys {', '.join(keys)} in {short_repr(text)}")
    if len(found) > 1:
        raise BadReplyError(f"several objects: {len(found)} where one was asked for")
    for key in keys:
        if key not in found[0]:
            raise BadReplyError(f"missing key: {key!r}")
    return found[0]


def plain_text(value: object, name: str) -> str:
    """A text of a reply with its white space collapsed. Raises BadReplyError where it is none, is empty, or holds what
    a prompt could mistake for a control token, a think tag or an answer tag."""
    if not isinstance(value, str):
        raise BadReplyError(f"{name} no text: {short_repr(value)}")
    text = " ".join(value.split())
    if not text:
        raise BadReplyError(f"{name} empty: {short_repr(value)}")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in text):
        raise BadReplyError(
            f"{name} no plain text: a control character or half of a surrogate pair in {short_repr(text)}"
        )
    if tag := _TAG.search(text):
        raise BadReplyError(f"{name} holds a tag: {short_repr(tag[0])}")
    return text


def _objects(text: str, keys: Sequence[str]) -> list[dict[str, Any]]:
    decoder = json.JSONDecoder()
    found: list[dict[str, Any]] = []
    start = text.find("{")
    for _ in range(_MAX_STARTS):
        if start < 0:
            break
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            if any(key in value for key in keys):
                found.append(value)
        start = text.find("{", end)
    return found
