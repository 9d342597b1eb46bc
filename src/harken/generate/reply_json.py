"""Read one JSON object, and the texts in it, from the reply of a language model.

What is wrong with a reply becomes a `BadReplyError` whose message `kind: detail` tells the model what to repair and can
be counted in a table. Text around the object, a code fence and thinking before it are skipped; two objects are an
error. JSON is never repaired. The time is bounded, whatever the text.
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


def parse_object(text: str, keys: Sequence[str]) -> dict[str, Any]:
    """Find the only object in `text` that has any of `keys`; it must have all of them.

    Raises BadReplyError for none, several, a missing key, or a text that is too long.
    """
    if len(text) > MAX_CHARACTERS:
        raise BadReplyError(f"too long: {len(text)} characters")
    objects = _objects(text.rpartition("</think>")[2], keys) or _objects(text, keys)
    if not objects:
        raise BadReplyError(f"no JSON: no object with the keys {', '.join(keys)} in {short_repr(text)}")
    if len(objects) > 1:
        raise BadReplyError(f"several objects: {len(objects)} where one was asked for")
    for key in keys:
        if key not in objects[0]:
            raise BadReplyError(f"missing key: {key!r}")
    return objects[0]


def clean_text(value: object, name: str) -> str:
    """Check a text of a reply, and make each run of white space one space.

    Raises BadReplyError where it is no text, is empty, or holds what a prompt could take for a control token, a think
    tag or an answer tag.
    """
    if not isinstance(value, str):
        raise BadReplyError(f"{name} no text: {short_repr(value)}")
    text = " ".join(value.split())
    if not text:
        raise BadReplyError(f"{name} empty: {short_repr(value)}")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in text):
        fault = "a control character or half of a surrogate pair"
        raise BadReplyError(f"{name} no plain text: {fault} in {short_repr(text)}")
    if tag := _TAG.search(text):
        raise BadReplyError(f"{name} holds a tag: {short_repr(tag[0])}")
    return text


def _objects(text: str, keys: Sequence[str]) -> list[dict[str, Any]]:
    decoder = json.JSONDecoder()
    objects: list[dict[str, Any]] = []
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
                objects.append(value)
        start = text.find("{", end)
    return objects
