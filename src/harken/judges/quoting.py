"""Quote judged text so that it cannot be taken for any other part of a prompt.

A completion earns reward from the judge that reads it, so its text is hostile: it may hold instructions, scores,
headings, tags, line breaks of every kind, or a megabyte of anything. `prompts.py` puts such text into a prompt only
through this module. The form of the quoted text, not a list of forbidden words, guarantees that

    - every line begins with `> `, whatever kind of line break made it, so the text never stands outside its quotation;
    - no `<`, `>`, `[`, `]` or `:` is left, nor a character that is compatible with one (such as `＜`), so the text
      cannot spell a control token of a tokenizer (`<|im_end|>`, `</s>`, `[INST]`) or a heading (`Score:`); look-alikes
      replace them, so that judged texts can still be compared with each other;
    - no control, format, private or unassigned character is left: nothing is invisible, nothing changes the direction
      of writing;
    - the length is bounded, and so is the time: only the ends of a huge text are read.
"""

import functools
import unicodedata

PREFIX = "> "
_EMPTY = "(empty)"
_CUT = "…"
_READ_PER_KEPT = 4  # characters read for each one kept, because blanks and invisible ones are removed
_LOOK_ALIKES = str.maketrans("<>[]:", "‹›()∶")


def quote_text(text: str, limit: int) -> str:
    """All lines of the text; where it is longer than `limit` characters, its first and its last limit / 2."""
    text = text.strip()
    if len(text) > _READ_PER_KEPT * limit:
        text = f"{text[: _READ_PER_KEPT * limit // 2]}\n{text[-_READ_PER_KEPT * limit // 2 :]}"
    kept = "\n".join(_lines(text))
    if len(kept) > limit:
        kept = f"{kept[: limit // 2]}\n{_CUT}\n{kept[-(limit // 2) :]}"
    return quote_lines(kept.split("\n"))


def quote_ending(text: str, lines: int, limit: int) -> str:
    """The last `lines` lines, cut to their last `limit` characters."""
    kept = "\n".join(_lines(text.rstrip()[-_READ_PER_KEPT * limit :])[-lines:])
    if len(kept) > limit:
        kept = f"{_CUT}{kept[-limit:]}"
    return quote_lines(kept.split("\n"))


def list_entry(text: str, limit: int) -> str:
    """The text as one harmless line without the prefix, cut at `limit` characters."""
    line = " ".join(_lines(text.lstrip()[: _READ_PER_KEPT * limit])) or _EMPTY
    return line if len(line) <= limit else line[:limit] + _CUT


def quote_lines(lines: list[str]) -> str:
    """Put the prefix before each line; the lines are harmless already, as `list_entry` makes them."""
    return "\n".join(PREFIX + line for line in (line.strip() for line in lines) if line) or PREFIX + _EMPTY


def _lines(text: str) -> list[str]:
    """The harmless lines of a text without empty ones, each run of white space made one space."""
    cleaned = (" ".join("".join(map(_harmless, line)).split()) for line in text.splitlines())
    return [line for line in cleaned if line]


@functools.lru_cache(maxsize=4096)
def _harmless(char: str) -> str:
    if char.isspace():
        return " "
    if unicodedata.category(char)[0] == "C":
        return ""
    # The character is decomposed first: `≮` is `<` with a stroke.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", char).translate(_LOOK_ALIKES))
