"""Reads a question and its choices back from the text of a prompt, as training programs store both in one text.

Known forms, tried in this order:

    <question> Please choose the answer from the following options: ['a', "b"]     harken's and R1-AQA's own
    <question> ... options: [a, b, c]                                              the list without quotes
    <question> A. a B. b   or   (A) a (B) b, in one line or one line each           lettered options

Whatever follows the options, such as an instruction about the form of the answer, is left out.
"""

import ast
import re
import string
from dataclasses import dataclass

from harken.data.records import RecordError
from harken.errors import short_repr

MARKER = " Please choose the answer from the following options: "
_INVITATION = r"\s*(?:(?:please )?(?:choose|select|pick)[^.:\n\[]{0,60}(?:options?|choices|answers?)|options?|choices)"
_ANY_MARKER = re.compile(rf"{_INVITATION}\s*:\s*(?=\[)", re.IGNORECASE)
_LETTERED_MARKER = re.compile(rf"{_INVITATION}\s*[:.]?\s*$", re.IGNORECASE)
_QUOTED_TEXT = re.compile(r"\s*('(?:[^'\\\n]|\\[^\n])*'|\"(?:[^\"\\\n]|\\[^\n])*\")\s*([,\]])")
_LETTER = re.compile(r"(?:(?<=\s)|^)(?:\(([A-Z])\)|([A-Z])[.):](?=\s))\s*")


@dataclass(frozen=True, slots=True)
class PromptText:
    """The question and the choices of a prompt; `lettered` says that each choice has a letter."""

    question: str
    choices: tuple[str, ...]
    lettered: bool = False


def parse_prompt(text: str) -> PromptText:
    """Raises RecordError where the text has none of the forms."""
    start = text.find(MARKER)
    while start >= 0:
        choices = _quoted_list(text, start + len(MARKER))
        if choices is not None:
            return PromptText(text[:start], choices)
        start = text.find(MARKER, start + 1)
    for marker in _ANY_MARKER.finditer(text):
        choices = _quoted_list(text, marker.end()) or _plain_list(text, marker.end())
        if choices is not None:
            return PromptText(text[: marker.start()].strip(), choices)
    lettered = _lettered(text)
    if lettered is not None:
        return lettered
    raise RecordError(
        f"prompt: expected `<question>{MARKER}['a', 'b', ...]`, a list without quotes, or lettered options, found "
        f"{short_repr(text)}"
    )


def choices_in_text(text: str) -> tuple[str, ...] | None:
    """The choices of a text that is a list, quoted or not; None for any other text."""
    text = text.strip()
    return (_quoted_list(text, 0) or _plain_list(text, 0)) if text.endswith("]") else None


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
        choice = _unquoted(match[1])
        if choice is None:
            return None
        choices.append(choice)
        position, end = match.end(), match[2]
    return tuple(choices)


def _unquoted(quoted: str) -> str | None:
    """The text of a quoted text; None where an escape in it is wrong, or makes half of a surrogate pair."""
    if "\\" not in quoted:
        return quoted[1:-1]
    try:
        text = ast.literal_eval(quoted)
        text.encode("utf-8")
    except (SyntaxError, ValueError):
        return None
    return text


def _plain_list(text: str, start: int) -> tuple[str, ...] | None:
    """Read `[a, b, c]` in one line. A list that holds quotes or brackets is not read: it would be guessed at."""
    match = re.compile(r"\[([^\[\]'\"\n\\]+)\]").match(text, start)
    parts = [part.strip() for part in match[1].split(",")] if match else []
    return tuple(parts) if len(parts) > 1 and all(parts) else None


def _lettered(text: str) -> PromptText | None:
    """Read options that begin with A, B, ... in order. Of several beginnings the last counts, because a question may
    hold letters itself."""
    marks = list(_LETTER.finditer(text))
    for first in reversed([index for index, mark in enumerate(marks) if (mark[1] or mark[2]) == "A"]):
        run = [marks[first]]
        for mark in marks[first + 1 :]:
            in_order = (mark[1] or mark[2]) == string.ascii_uppercase[len(run)]
            if in_order and (mark[1] is None) == (run[0][1] is None):
                run.append(mark)
        question = _LETTERED_MARKER.sub("", text[: run[0].start()]).strip()
        if len(run) < 2 or not question:
            continue
        ends = [mark.start() for mark in run[1:]] + [len(text)]
        texts = [text[mark.end() : end].strip() for mark, end in zip(run, ends, strict=True)]
        texts[-1] = texts[-1].split("\n")[0].strip()
        if all(texts):
            return PromptText(question, tuple(texts), lettered=True)
    return None
