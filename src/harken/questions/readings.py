"""Readings of a text, from "as it is written" to "as a person would take it", under which an answer equals a choice.

The grader compares an answer with the choices under the coarsest reading that keeps different choices different. Each
reading includes the ones before it:

    0  spaces collapsed
    1  case folded
    2  one Unicode form, one form of quotes, hyphens and dashes
    3  no punctuation at the edges
    4  as spoken: no articles, contractions in full, numbers as digits, one spelling of units and signs
    5  plurals as singulars
"""

import functools
import re
import unicodedata
from collections.abc import Sequence

AS_SPOKEN, SINGULAR = 4, 5
GLUE = "\x1f"
"""Stands for the hyphen of a compound in reading 4: it matches a space inside a choice, but not at its edge."""

# Typographic variants that NFKC leaves apart: quotes, hyphens and dashes, the minus sign.
_TYPOGRAPHY = str.maketrans("‘’‚“”„‐‑‒–—−", "'''\"\"\"------")
# Punctuation that is part of an answer and not decoration: F#, 50%, R&B, -3, and/or.
_MEANINGFUL = frozenset("#%&@/\\-")
DECORATION = (
    frozenset(
        chr(c) for c in range(0x10000) if unicodedata.category(chr(c)) in ("Pc", "Pe", "Pf", "Pi", "Po", "Ps", "Cf")
    )
    | {"`", "~", " "}
) - _MEANINGFUL
_MAX_MARKS = 30


def coarsest_reading(choices: Sequence[str], most: int = SINGULAR) -> int:
    """The coarsest reading, `most` at most, under which different choices stay different."""
    return _coarsest_reading(tuple(choices), most)


@functools.lru_cache(maxsize=4096)  # the completions of a group ask about the same choices
def _coarsest_reading(choices: tuple[str, ...], most: int) -> int:
    different = len({read(choice, 0) for choice in choices})
    return next(level for level in range(most, -1, -1) if len({read(choice, level) for choice in choices}) == different)


def read(text: str, level: int) -> str:
    """`text` under the reading of this number."""
    text = " ".join(text.split())
    if level >= 1:
        text = text.casefold()
    if level >= 2:
        text = _one_unicode_form(text)
    if level >= AS_SPOKEN:
        text = as_spoken(text).replace(GLUE, " ").strip()
    if level >= SINGULAR:
        text = singular(text)
    return undecorated(text) if level >= 3 else text


def with_case(text: str) -> str:
    """`text` in one Unicode form with its case and its lines kept."""
    return unicodedata.normalize("NFKC", _bounded_marks(text)).translate(_TYPOGRAPHY)


def undecorated(text: str) -> str:
    """Without quotes, brackets, markdown, punctuation and list dashes at the edges; the text itself where nothing would
    stay."""
    start, end = 0, len(text)
    while start < end and (text[start] in DECORATION or text[start : start + 2] == "- "):
        start += 1
    while end > start and text[end - 1] in DECORATION:
        end -= 1
    if start > 0 and text[start - 1] in ".," and start < end and text[start].isdigit():
        start -= 1  # .5 is a number
    return text[start:end] or text


def _one_unicode_form(text: str) -> str:
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", _bounded_marks(text)).casefold()
    return " ".join(unicodedata.normalize("NFKC", text).translate(_TYPOGRAPHY).split())


def _bounded_marks(text: str) -> str:
    """At most 30 combining marks in a row (UAX 15, stream-safe): ordering a longer run takes quadratic time."""
    if text.isascii():
        return text
    kept: list[str] = []
    run = 0
    for char in text:
        run = run + 1 if unicodedata.combining(char) else 0
        if run <= _MAX_MARKS:
            kept.append(char)
    return "".join(kept)


_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_VALUES = {word: n for n, word in enumerate(_ONES)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_FOURTH_TO_TWELFTH = ("fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth")
_ORDINALS = {"first": "1st", "second": "2nd", "third": "3rd"}
_ORDINALS |= {word: f"{n}th" for n, word in enumerate(_FOURTH_TO_TWELFTH, 4)}
_NUMBER_WORD = "|".join([*_VALUES, *_SCALES])
_NUMBER = re.compile(rf"\b(?:{_NUMBER_WORD})(?:(?:[ -]| and )(?:{_NUMBER_WORD}))*\b(?![-'])")
_NUMBER_PART = re.compile(rf"\b({_NUMBER_WORD})\b([ -]and[ -]| and |[ -]|)")
_NOT_A_NUMBER_BEFORE = re.compile(r"(?:\b(?:the|this|that|no|which|any|each|every|some|another)|\d(?:st|nd|rd|th)) $")
_NOT_A_NUMBER_AFTER = re.compile(r" (?:of|that|who|which|another|can|could|might)\b")
_ORDINAL = re.compile(rf"(?<!\d )(?<!at )(?<![\w-])(?:{'|'.join(_ORDINALS)})\b(?!s)(?!-)")

_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\b(?:can't|cannot|cant)\b", "can not"),
        (r"\bwon't\b", "will not"),
        (r"\bain't\b", "is not"),
        (r"(?<=\w)n't\b", " not"),
        (r"\b(?:([a-z])\.)(?:([a-z])\.)(?:([a-z])\.)?(?![a-z])", r"\1\2\3"),  # U.K., p.m.
        (r"\b(mrs?|ms|dr|st|vs|prof)\.(?= )", r"\1"),
        (r"[♯]", "#"),
        (r"\b([a-g])[ -]?sharp\b", r"\1#"),
        (r"\b([a-g])[ -]flat\b|\b([a-g])♭", r"\1\2b"),
        (r"\br ?(?:'n'|n) ?b\b", "r and b"),
        (r" ?& ?", " and "),
        (r" ?(?:→|->|=>|⟶|➔) ?", " to "),
        (r"(?<![\d.,])(\d{1,3}),(\d{3})(?:,(\d{3}))?(?:,(\d{3}))?(?!\d|,\d|\.\d)", r"\1\2\3\4"),
        (r"(?<![\d.,:])(\d{1,3}) (\d{3})(?: (\d{3}))?(?![\d.,:]\d|\d| \d)", r"\1\2\3"),
        (r"(?<![\d.:,/])0+(?=\d[\d:])", ""),  # 00:18
        (r"(?<![\d.:,])(\d+\.\d*?[1-9])0+(?!\d|[.:/]\d)", r"\1"),
        (r"(?<![\d.:,])(\d+)\.0+(?!\d|[.:/]\d)", r"\1"),
        (r"(?<=\d) ?(?:%|percent\b|per cent\b)", "%"),
        (r"(?<=\d)[ -]?(?:beats per minute|bpm)\b", " bpm"),
        (r"(?<=\d)[ -]?(?:seconds?|secs?|s)\b", " s"),
        (r"(?<=\d)[ -]?(?:minutes?|mins?)\b", " min"),
        (r"(?<=\d)[ -]?(?:hours?|hrs?)\b", " h"),
        (r"(?<=\d)[ -]?(?:milliseconds?|ms)\b", " ms"),
        (r"(?<=\d)[ -]?(?:hertz|hz)\b", " hz"),
        (r"(?<=\d)[ -]?(?:kilohertz|khz)\b", " khz"),
        (r"(?<=\d)[ -]?(?:decibels?|db)\b", " db"),
        (r"(?<=\d) ?(am|pm)\b", r" \1"),
        (r"(?<![\w'])(?:an?|the) (?!(?:major|minor|flat|sharp|or|and|is|was|but|to|in)\b)(?=[\w\"'(*])", ""),
        (r"(?<=[^\W\d_])-(?=[^\W\d_])", GLUE),
    )
)


def as_spoken(text: str) -> str:
    """Reading 4 of a text that is under reading 2 already; compounds keep `GLUE` where their hyphen stood."""
    for pattern, replacement in _REWRITES[:13]:
        text = pattern.sub(replacement, text)
    text = _ORDINAL.sub(lambda match: _ORDINALS[match[0]], text)
    text = _NUMBER.sub(_digits, text)
    for pattern, replacement in _REWRITES[13:]:
        text = pattern.sub(replacement, text)
    return text


def _digits(match: re.Match[str]) -> str:
    """The numbers that words spell: "twenty-two" is 22, "two four" is 2 4, "twenty-one and two" is 21 and 2."""
    if match[0] == "one":
        before, after = match.string[max(0, match.start() - 10) : match.start()], match.string[match.end() :][:10]
        if _NOT_A_NUMBER_BEFORE.search(before) or _NOT_A_NUMBER_AFTER.match(after):
            return match[0]
    pieces: list[str] = []
    number: list[str] = []
    gap = ""
    for word, next_gap in _NUMBER_PART.findall(match[0]):
        if number and _value([*number, word]) is None:
            pieces += [_spelled(number), gap]
            number = []
        number.append(word)
        gap = next_gap
    return "".join([*pieces, _spelled(number)])


def _spelled(words: Sequence[str]) -> str:
    value = _value(words)
    return " ".join(words) if value is None else str(value)


def _value(words: Sequence[str]) -> int | None:
    """The number that words spell; None where they are no one number, as "two four" and "two twenty"."""
    total = group = 0
    last = 1000  # a smaller word than the last one may follow: twenty-two, but not two-twenty
    for word in words:
        if word in _SCALES:
            group = max(1, group) * _SCALES[word]
            if word != "hundred":
                total, group = total + group, 0
            last = 100 if word == "hundred" else 1000
        else:
            value = _VALUES[word]
            if (value >= 10 and last <= 20) or (value < 10 and last < 20) or last == 0:
                return None
            group, last = group + value, value if value < 20 else 20
    return total + group


_PLURAL = re.compile(r"\b([^\W\d_]{3,}?)(?:(?<=sh|ch)es|(?<![sui])s)\b")


def singular(text: str) -> str:
    """Every word without the s of its plural; words such as "bus", "brass" and "his" stay."""
    return _PLURAL.sub(r"\1", text)
