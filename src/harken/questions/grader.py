"""The one grader, shared by reward and evaluation: text -> choice, or none with a reason.

Takes the text of a completion and the choices, gives a Grade. The text is data: whatever it holds, nothing raises and
time stays near linear in its length (no backtracking patterns; combining marks are bounded, see `_bounded_marks`).
Not taken: looking for the answer anywhere in the output (a model that mentions every choice while it reasons would be
paid for it), and a language model as grader.

Where it looks (docs/method.md, Grader): the first `<answer>` body after the last `</think>`; else the text after
`</think>`; a `<think>` that never closes is no answer; the whole text only where there is no think tag. An `<answer>`
that never closes reaches to the end of the text: the completion was cut or the tag forgotten, what follows it is still
the answer given, and what precedes it is not looked at. Tags are read as written, in lower case.

How text becomes a choice: exact text first, under ever coarser readings (as written, case, unicode form, edge
punctuation); then a letter, where the prompt showed letters; then the only choice contained as whole words. A reading
that would make two different choices equal ("F'" and "F" without edge punctuation) is not used for that question.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from harken.types import Form, Grade, Question, Response

_BRACKETED = re.compile(r"[(\[]([A-Za-z])[)\]]")
_LETTER = re.compile(_BRACKETED.pattern + r"|([A-Za-z])[).:](?=\s|$)")
_BLOCKS = re.compile(r"(?:<think>(.*)</think>\s*)?<answer>(.*)</answer>", re.DOTALL)
# Typographic variants that NFKC leaves apart: quotes, hyphens and dashes, the minus sign.
_TYPOGRAPHY = str.maketrans("‘’‚“”„‐‑‒–—−", "'''\"\"\"------")
# Punctuation that is part of an answer and not decoration: F#, 50%, R&B, -3, and/or.
_MEANINGFUL = frozenset("#%&@/\\-")
_DECORATION = (
    frozenset(
        chr(c) for c in range(0x10000) if unicodedata.category(chr(c)) in ("Pc", "Pe", "Pf", "Pi", "Po", "Ps", "Cf")
    )
    | {"`", "~", " "}
) - _MEANINGFUL
# Scripts written without spaces, where a neighbouring letter does not make a longer word.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # kana
    (0x3400, 0x9FFF),  # Han
    (0xAC00, 0xD7AF),  # Hangul: spaced, but particles are joined to the word
    (0x20000, 0x3FFFF),  # Han, rare
)
_MAX_MARKS = 30


def understand(text: str, question: Question, *, letters_shown: bool, tokens: int, ended: bool) -> Response:
    """One completion of a question with its form, its reasoning and its grade. Never raises for any `text`."""
    graded = grade(text, question.choices, question.answer, letters_shown=letters_shown)
    return Response(question, text, form(text), reasoning(text), graded, tokens, ended)


def grade(text: str, choices: Sequence[str], answer: int | None, *, letters_shown: bool) -> Grade:
    """Read one completion as a choice.

    Args:
        text: the completion, special tokens left out; anything at all.
        choices: the texts shown, in order. Of equal texts the first counts as chosen, and choosing it is correct where
            the answer is any of them.
        answer: index of the right choice; None (hidden) grades as not correct.
        letters_shown: whether the prompt showed `(A) a (B) b`; without it a letter is just text.

    Returns:
        A Grade; unreadable is wrong. Never raises for any `text`.

    Example:
        >>> grade("<think>a piano?</think><answer>Bass.</answer>", ["guitar", "bass"], 1, letters_shown=False)
        Grade(choice=1, correct=True, extracted='Bass.', reason='exact')
    """
    extracted = _locate(text)
    if extracted is None:
        return Grade(None, False, "", "unclosed think")
    if not extracted.strip():
        return Grade(None, False, extracted, "empty")
    level = _level(choices)
    choice, reason = _resolve(extracted, choices, level, letters_shown)
    keys = [_read(text, level) for text in choices]
    correct = choice is not None and answer is not None and keys[choice] == keys[answer]
    return Grade(choice, correct, extracted, reason)


def form(text: str) -> Form:
    """Form of a whole output, for R_f (Audio-Thinker, arXiv 2508.08039, 4.2.1) and for think rates.

    no_think is `<answer>..</answer>`, think is `<think>..</think><answer>..</answer>`: each tag once, bodies not blank,
    nothing outside but whitespace (at the edges and between the two blocks). Everything else is malformed.
    """
    text = text.strip()
    thinks, *other_counts = (text.count(tag) for tag in ("<think>", "</think>", "<answer>", "</answer>"))
    if thinks > 1 or other_counts != [thinks, 1, 1]:
        return "malformed"
    blocks = _BLOCKS.fullmatch(text)  # every tag once, so nothing is tried twice
    if not blocks or not blocks[2].strip():
        return "malformed"
    if thinks == 0:
        return "no_think"
    return "think" if (blocks[1] or "").strip() else "malformed"


def reasoning(text: str) -> str:
    """The body of `<think>` in an output of the form think, without edge whitespace; "" for any other output."""
    if form(text) != "think":
        return ""
    return text.partition("<think>")[2].partition("</think>")[0].strip()


def _locate(text: str) -> str | None:
    """The part of the text that answers; None where thinking never ends."""
    closed = text.rfind("</think>")
    if text.rfind("<think>") > closed:
        return None
    after = text[closed + len("</think>") :] if closed >= 0 else text
    _, opened, body = after.partition("<answer>")
    return body.partition("</answer>")[0] if opened else after


def _resolve(text: str, choices: Sequence[str], level: int, letters_shown: bool) -> tuple[int | None, str]:
    # "(A)" is an option as the prompt showed it, also where some choice's text is "A" (MMAU asks for keys and chords).
    option = letters_shown and _BRACKETED.fullmatch(text.strip())
    exact = _exact(text, choices, min(level, 2) if option else level)
    if exact is not None:
        return exact, "exact"
    flat = _read(text, min(level, 2))  # edges kept: "-3" and "(b)" need theirs
    if letters_shown:
        choice, reason = _lettered(flat, choices, level)
        if reason != "no choice":
            return choice, reason
    named = _contained(flat, choices, level)
    if len(named) == 1:
        return named.pop(), "contained"
    return None, "several choices" if named else "no choice"


def _exact(text: str, choices: Sequence[str], level: int) -> int | None:
    for reading in range(level + 1):
        wanted = _read(text, reading)
        for index, choice in enumerate(choices):
            if wanted and _read(choice, reading) == wanted:
                return index
    return None


def _lettered(flat: str, choices: Sequence[str], level: int) -> tuple[int | None, str]:
    """`B`, `B.`, `(B)`, or a letter so marked followed by text that names no other choice."""
    letters = "abcdefghijklmnopqrstuvwxyz"[: len(choices)]
    bare = _bare_letter(flat)
    if bare and bare in letters:
        return letters.index(bare), "letter"
    start = next((i for i, char in enumerate(flat) if char in "([" or char not in _DECORATION), len(flat))
    found = _LETTER.match(flat, start)
    letter = (found[1] or found[2]).casefold() if found else ""
    if not found or letter not in letters:
        return None, "no choice"
    choice, rest = letters.index(letter), flat[found.end() :]
    exact = _exact(rest, choices, level)
    named = _contained(rest, choices, level) if exact is None else {exact}
    other_letters = {mark[1].casefold() for mark in _BRACKETED.finditer(rest)} | {_bare_letter(rest)}
    if exact is None and any(other and other != letter and other in letters for other in other_letters):
        return None, "several choices"
    if any(_read(choices[other], level) != _read(choices[choice], level) for other in named):
        return None, "several choices"
    return choice, "letter"


def _bare_letter(text: str) -> str:
    bare = _undecorated(text.strip()).casefold()
    return bare if len(bare) == 1 else ""


def _contained(text: str, choices: Sequence[str], level: int) -> set[int]:
    """Indices (first of equals) of choices that `text` holds as whole words, except inside a longer one found there.

    Two at most are returned: more changes nothing. Choices that only overlap ("electric bass" and "bass guitar" in
    "electric bass guitar") both count.
    """
    keys = [_read(choice, level) for choice in choices]
    taken = bytearray(len(text))
    named: set[int] = set()
    for key in sorted(dict.fromkeys(keys), key=len, reverse=True):
        shorter = any(other in key and other != key for other in keys if other)
        for start in _whole_words(text, key):
            if taken.find(0, start, start + len(key)) < 0:
                continue
            named.add(keys.index(key))
            if len(named) == 2:
                return named
            if not shorter:
                break
            taken[start : start + len(key)] = b"\1" * len(key)
    return named


def _whole_words(text: str, key: str) -> Iterator[int]:
    start = text.find(key) if key else -1
    while start >= 0:
        if not _joined_left(text, start) and not _joined_right(text, start + len(key)):
            yield start
        start = text.find(key, start + 1)


def _joined_left(text: str, start: int) -> bool:
    """Whether what stands before `start` makes the match part of a longer word or number."""
    if start == 0:
        return False
    far, near, edge = text[start - 2] if start > 1 else " ", text[start - 1], text[start]
    if not _word(edge):
        return _word(near) or near == edge  # "+" in "c++", "-3" in "10-3"
    if _word(near):
        return not (_unspaced(near) or _unspaced(edge))
    if near in "_/":
        return _word(far) and not (_unspaced(far) or _unspaced(edge))
    if edge.isdigit():
        if near in "-+.":
            return not far.isalpha() and far != near  # a sign, a range, a decimal point
        return near in ",:" and far.isdigit()
    return False


def _joined_right(text: str, end: int) -> bool:
    if end == len(text):
        return False
    edge, near, far = text[end - 1], text[end], text[end + 1] if end + 1 < len(text) else " "
    if near in "_/:":  # 6/8, f#:7/1, 0:08
        return _word(far) and not (_unspaced(far) or _unspaced(edge))
    if not _word(edge):
        return _word(near) or near == edge
    if _word(near):
        return not (_unspaced(near) or _unspaced(edge))
    if edge.isdigit() and near in ".,-":
        return far.isdigit()
    return near in "#♯♭+" and not _unspaced(edge)  # f is not named by f#, c not by c++


def _word(char: str) -> bool:
    return char.isalnum() or (not char.isascii() and unicodedata.category(char)[0] == "M")


def _unspaced(char: str) -> bool:
    return char > "\u0dff" and any(low <= ord(char) <= high for low, high in _UNSPACED)


def _level(choices: Sequence[str]) -> int:
    """The coarsest reading under which different choices stay different."""
    different = len({_read(choice, 0) for choice in choices})
    return next(level for level in (3, 2, 1, 0) if len({_read(choice, level) for choice in choices}) == different)


def _read(text: str, level: int) -> str:
    """Readings: 0 spaces collapsed, 1 and case folded, 2 and one unicode form, 3 and no decoration at the edges."""
    text = " ".join(text.split())
    if level >= 1:
        text = text.casefold()
    if level >= 2:
        text = _compatible(text)
    return _undecorated(text) if level >= 3 else text


def _compatible(text: str) -> str:
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", _bounded_marks(text)).casefold()
    return " ".join(unicodedata.normalize("NFKC", text).translate(_TYPOGRAPHY).split())


def _bounded_marks(text: str) -> str:
    """At most 30 combining marks in a row (UAX 15, stream-safe): ordering a longer run takes quadratic time."""
    kept: list[str] = []
    run = 0
    for char in text:
        run = run + 1 if unicodedata.combining(char) else 0
        if run <= _MAX_MARKS:
            kept.append(char)
    return "".join(kept)


def _undecorated(text: str) -> str:
    """Edge punctuation, quotes, brackets, markdown and list dashes off; the text itself where nothing would stay."""
    start, end = 0, len(text)
    while start < end and (text[start] in _DECORATION or text[start : start + 2] == "- "):
        start += 1
    while end > start and text[end - 1] in _DECORATION:
        end -= 1
    if start > 0 and text[start - 1] in ".," and start < end and text[start].isdigit():
        start -= 1  # .5 is a number
    return text[start:end] or text
