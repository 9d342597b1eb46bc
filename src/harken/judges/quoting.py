"""Judged text -> quoted lines that cannot be taken for anything else in a prompt.

Takes any text, gives lines of their own, each behind `> `. A completion earns reward from the judge that reads it, so
its text is hostile: it may hold instructions, scores, headings, tags, line breaks of every kind or a megabyte of
anything. What cannot happen is guaranteed by form, not by a list of bad words:
    - every line begins with the prefix, whatever kind of break made it a line, so the text never stands outside;
    - no `<`, `>`, `[`, `]` or `:` is left, as written or in a compatible form (`＜` is one), so no control token of a
      tokenizer (`<|im_end|>`, `</s>`, `[INST]`) and no heading (`Score:`) can be spelled; look-alikes take their place,
      so that judged texts still compare with each other;
    - no control, format, private or unassigned character is left: nothing invisible and nothing that turns direction;
    - the length is bounded, and so is the time: of a huge text only the ends are looked at.
Not taken: a random fence around the text, for the same text must give the same prompt; stripping known attacks.
"""

import functools
import unicodedata

PREFIX = "> "
_EMPTY = "(empty)"
_CUT = "…"
_READ = 4  # characters read for one that is kept: blanks and invisible ones fall away
_LOOK_ALIKES = str.maketrans("<>[]:", "‹›()∶")


def block(text: str, limit: int) -> str:
    """All lines; of a text above `limit` characters the first and the last half of that many."""
    text = text.strip()
    if len(text) > _READ * limit:
        text = f"{text[: _READ * limit // 2]}\n{text[-_READ * limit // 2 :]}"
    kept = "\n".join(_lines(text))
    if len(kept) > limit:
        kept = f"{kept[: limit // 2]}\n{_CUT}\n{kept[-(limit // 2) :]}"
    return _quoted(kept.split("\n"))


def ending(text: str, lines: int, limit: int) -> str:
    """The last `lines` lines, and of those the last `limit` characters."""
    kept = "\n".join(_lines(text.rstrip()[-_READ * limit :])[-lines:])
    if len(kept) > limit:
        kept = f"{_CUT}{kept[-limit:]}"
    return _quoted(kept.split("\n"))


def entry(text: str, limit: int) -> str:
    """One line without the prefix, for a list; cut at `limit` characters."""
    line = " ".join(_lines(text.lstrip()[: _READ * limit])) or _EMPTY
    return line if len(line) <= limit else line[:limit] + _CUT


def entries(lines: list[str]) -> str:
    """Lines that `entry` made, quoted."""
    return _quoted(lines)


def _quoted(lines: list[str]) -> str:
    return "\n".join(PREFIX + line for line in (line.strip() for line in lines) if line) or PREFIX + _EMPTY


def _lines(text: str) -> list[str]:
    """Harmless lines that say something, spaces collapsed."""
    cleaned = (" ".join("".join(map(_harmless, line)).split()) for line in text.splitlines())
    return [line for line in cleaned if line]


@functools.lru_cache(maxsize=4096)
def _harmless(char: str) -> str:
    if char.isspace():
        return " "
    if unicodedata.category(char)[0] == "C":
        return ""
    # Taken apart first: `≮` is `<` and a stroke.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", char).translate(_LOOK_ALIKES))
