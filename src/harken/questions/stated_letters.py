"""Which choice an answer states by its letter: "B", "(B) a cat", "The answer is B, not A.", "答案是B".

Only for prompts that showed letters. A letter counts where the answer is the letter, where a line begins with it as a
label, and where a sentence states it; a letter that is denied, asked for or only listed does not count.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from harken.questions.clauses import denies_before, is_question
from harken.questions.readings import undecorated, with_case

_MARKS = r"[\s\"'`*_$({\[<\\]*"
_BOUNDARY = r"(?![\w'#♯+&%])"
_CUE = (
    r"(?:answer|option|choice|guess|response|selection|selected|letter|respuesta|opci[oó]n|r[eé]ponse|antwort|risposta"
    r"|resposta|答案|选项|选择|选|正确|答)"
)
_FILLER = (
    r"(?:is|are|was|would|should|could|be|must|will|option|choice|letter|correct|right|best|final|answer|es|est|ist|la"
    r"|le|die|è|é|应该|应|是|为|项|text|boxed)"
)
_STATED = re.compile(
    rf"{_CUE}s?(?:[\s\"'`*_$({{\[<\\:=：,-]|{_FILLER}\b|[是为选项应该]){{0,16}}?(?P<letter>[A-Za-z]){_BOUNDARY}",
    re.IGNORECASE,
)
_CHOSEN = re.compile(
    rf"\b(?:choose|chose|pick|picked|select|go with|going with|went with|guess|opt for|say|points to|"
    rf"point to|suggests|indicates)\s+(?:option\s+|choice\s+|answer\s+|"
    rf"letter\s+)?{_MARKS}(?P<letter>[A-Z]){_BOUNDARY}"
)
_CONCLUDING = (
    r"(?:[Ss]o|[Tt]herefore|[Tt]hus|[Hh]ence|[Cc]onsequently|[Aa]ctually|[Nn]o|[Ww]ait|[Ss]orry|[Rr]ather|"
    r"[Ff]inally|[Ii]nstead|[Pp]robably|[Ss]ure)[,:]?\s+"
)
_IS = r"(?:[Ii]t'?s|[Ii]t is|[Tt]hat'?s|[Tt]his is|[Tt]hat is|[Ii]t must be|[Ii]t should be)\s+"
_CONCLUDED = re.compile(
    rf"(?:(?:^|[.!?\n;:…。]\s*)(?:{_CONCLUDING}){{0,3}}(?:{_IS})?|(?:[,，]\s*|"
    rf"\bbut\s+)(?:(?:{_CONCLUDING}){{1,3}}(?:{_IS})?|{_IS})|\b(?:{_CONCLUDING})(?:{_IS})?)"
    rf"{_MARKS}(?P<letter>[A-Z])[\"'`*_$)}}\]>]*(?=\s*(?:[.,;!\n。，]|:\s|$))"
)
_PREDICATED = re.compile(
    rf"(?:^|[\s({{\[*]){_MARKS}(?P<letter>[A-Z])[\"'`*_$)}}\]>.]*\s+(?:is|would be|must be|should be|"
    rf"seems(?: to be)?)\s+(?:the\s+|my\s+|definitely\s+|most\s+|clearly\s+)*(?:correct|right|best|answer|"
    rf"accurate|appropriate|likely|true|final)"
)
_BOXED = re.compile(r"\\boxed\s*\{\s*(?:\\text\s*\{)?\s*\(?\s*(?P<letter>[A-Za-z])\s*\)?\s*[.:]?\s*\}")
_LABEL = re.compile(
    r"[\s\"'`*_$#>~-]*(?:[(\[{](?P<bracketed>[A-Za-z])[)\]}]|(?P<dotted>[A-Za-z])(?:[.]?[)]|[.](?=\s|$|[*_]|"
    r"[A-Z])|:(?=\s))"
    r"|(?P<capital>[A-Z])(?=\s*(?:[,、。，!;]|-\s|–\s|\n|$|because\b|since\b|as it\b|as the\b|[*_`]+\s*(?:$|\n|"
    r"[.:,])))|(?<=\*\*)(?P<bold>[A-Z])(?=\*\*))"
)
_IN_BRACKETS = re.compile(r"[(\[](?P<letter>[A-Za-z])[)\]]")
_ALTERNATIVE = re.compile(
    rf"[\"'`*_$)}}\]>.]*\s*(?:,|/|\bor\b|\band\b|&|\boder\b|\bo\b|或|和)\s*(?:(?:option|choice|or|"
    rf"and)\s+)?{_MARKS}(?P<letter>[A-Z]){_BOUNDARY}"
)
_DENIED_AFTER = re.compile(
    r"[\"'`*_$)}\]>.]*\s+(?:(?:is|was|are|seems|would be|can be|could be|must be)(?: not|n't)|(?:is|was|"
    r"would be|seems|can be|could be)\s+(?:also\s+)?(?:wrong|incorrect|false|unlikely|ruled|eliminated|"
    r"excluded|out\b)|cannot|can't|does not|doesn't)"
)
_CORRECTION = re.compile(
    r"\b(?:no|wait|sorry|actually|correction|on second thoughts?|rather|instead|i mean|scratch that|but|"
    r"however|final(?:ly)?)\b"
    r"|不对|更正|其实|不是",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A letter that an answer states: its place in the answer and the index of its choice."""

    start: int
    end: int
    choice: int
    weight: int


def stated_letter(answer: str, choices: Sequence[str], same: Sequence[int]) -> tuple[int | None, str]:
    """(index, "letter"), (None, "several choices"), or (None, "no choice") where no letter is stated.

    Args:
        answer: the part of an output that answers.
        same: for each choice the index of the first choice with the same text.
    """
    text = without_list_of_options(with_case(answer), choices)
    size = min(len(choices), 26)
    statements = [*_at_the_start_of_lines(text, size), *_in_sentences(text, size, choices)]
    heaviest = max((statement.weight for statement in statements), default=0)
    statements = sorted((s for s in statements if s.weight == heaviest), key=lambda s: (s.start, s.end))
    if not statements:
        return None, "no choice"
    last = statements[-1]
    for before in reversed(statements[:-1]):
        if same[before.choice] == same[last.choice]:
            continue
        between = text[before.end : last.end]
        if last.start <= before.end or not _CORRECTION.search(between) or _listed_together(text, before, last):
            return None, "several choices"
        break
    return last.choice, "letter"


def _listed_together(text: str, before: Statement, last: Statement) -> bool:
    following = _ALTERNATIVE.match(text, before.end)
    return bool(following and following.end() >= last.end)


def _at_the_start_of_lines(text: str, size: int) -> list[Statement]:
    """The whole answer or a whole line as a bare letter, and a letter as the label that the answer begins with."""
    statements: list[Statement] = []
    position = 0
    lines = text.split("\n")
    first_line = next((number for number, line in enumerate(lines) if line.strip()), 0)
    for number, line in enumerate(lines):
        bare = undecorated(line.strip())
        alone = len(bare) == 1 and (
            bare.isupper() or len(lines) == 1 or not "".join(lines).replace(line, "").strip("`")
        )
        label = _LABEL.match(line) if number == first_line else None
        if alone and (index := _index(bare, size)) is not None:
            start = position + line.find(bare)
            statements.append(Statement(start, start + 1, index, 3))
        elif label is not None:
            statements += _label_statements(text, position + label.start(), label, position, size)
        position += len(line) + 1
    return statements


def _label_statements(text: str, start: int, label: re.Match[str], offset: int, size: int) -> list[Statement]:
    letter = label["bracketed"] or label["dotted"] or label["capital"] or label["bold"]
    index = _index(letter, size)
    if index is None or is_question(text, offset + label.end()):
        return []
    end = offset + label.end()
    return [Statement(start, end, index, 3), *_alternatives(text, end, size, 3)]


def _in_sentences(text: str, size: int, choices: Sequence[str]) -> list[Statement]:
    statements: list[Statement] = []
    for pattern, weight in (
        (_BOXED, 3),
        (_STATED, 3),
        (_CHOSEN, 3),
        (_CONCLUDED, 3),
        (_PREDICATED, 3),
        (_IN_BRACKETS, 1),
    ):
        for match in pattern.finditer(text):
            letter, end = match["letter"], match.end("letter")
            index = _index(letter, size)
            if index is None or not _is_meant_as_letter(pattern, match, text) or _begins_a_choice(text, match, choices):
                continue
            if denies_before(text, match.start("letter")) or is_question(text, end) or _DENIED_AFTER.match(text, end):
                continue
            statements.append(Statement(match.start("letter"), end, index, weight))
            statements += _alternatives(text, end, size, weight)
    return statements


def _is_meant_as_letter(pattern: re.Pattern[str], match: re.Match[str], text: str) -> bool:
    """Whether a letter in a sentence is a letter and not the word "a", "I" or a small letter by chance."""
    letter, rest = match["letter"], text[match.end("letter") : match.end("letter") + 12]
    closed = re.match(r"[\"'`*_$)}\]>]*\s*(?:[.,;:!?\n)\]}。，]|$)", rest) is not None
    if pattern in (_BOXED, _IN_BRACKETS):
        return True
    if pattern is _CONCLUDED and letter == "I":
        return False
    if letter in "aAI" or letter.islower():
        connected = re.match(r"\s+(?:because|since|as|or|and|but|not|for|is|which)\b", rest) is not None
        return closed or (letter == "A" and connected)
    return True


def _begins_a_choice(text: str, match: re.Match[str], choices: Sequence[str]) -> bool:
    """Whether the letter is the first word of a choice: "The answer is C minor." """
    start = match.start("letter")
    return (
        any(len(choice) > 1 and text[start : start + len(choice)].casefold() == choice.casefold() for choice in choices)
        or re.match(r"[A-Ga-g][ -](?:major|minor|sharp|flat)\b", text[start : start + 12]) is not None
    )


def _alternatives(text: str, end: int, size: int, weight: int) -> list[Statement]:
    """The letters that follow one directly: "A or B", "A, C and D"."""
    statements = []
    while (match := _ALTERNATIVE.match(text, end)) is not None:
        end = match.end()
        index = _index(match["letter"], size)
        if index is not None and not (match["letter"] in "AI" and re.match(r"\s+[a-z]", text[end : end + 3])):
            statements.append(Statement(match.start("letter"), end, index, weight))
    return statements


def _index(letter: str, size: int) -> int | None:
    index = ord(letter.casefold()[:1] or " ") - ord("a")
    return index if letter.isascii() and 0 <= index < size else None


def without_list_of_options(text: str, choices: Sequence[str]) -> str:
    """The answer with blanks where it repeats two or more of the options as the prompt showed them."""
    spans = []
    lowered = text.casefold() if len(text.casefold()) == len(text) else text
    for index, choice in enumerate(choices[:26]):
        letter, wanted = chr(ord("a") + index), " ".join(choice.split()).casefold()
        if not wanted:
            continue
        for mark in (f"({letter}) ", f"{letter}. ", f"{letter}) ", f"{letter}: ", f"[{letter}] "):
            start = lowered.find(mark + wanted)
            if start >= 0 and (start == 0 or not lowered[start - 1].isalnum()):
                spans.append((start, start + len(mark) + len(wanted)))
                break
    if len(spans) < 2:
        return text
    spans.sort()
    near = all(after[0] - before[1] <= 6 for before, after in itertools.pairwise(spans))
    if not near or len(spans) < min(3, len(choices)):
        return text
    for start, end in spans:
        text = text[:start] + "\n" * (end - start) + text[end:]
    return text
