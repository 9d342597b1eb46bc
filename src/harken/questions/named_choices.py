"""Which choice an answer names in its sentences: "It is a guitar, not a piano." names the guitar.

A choice is named where its text stands as whole words and the sentence states it. A choice that is denied, asked for,
held to be undecidable, or only a part of a longer word or choice is not named.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harken.questions.clauses import (
    REFUSAL,
    clause_after,
    clause_before,
    denies_after,
    denies_before,
    denies_directly,
    explains,
    follows_denied_list,
    hedges,
    is_question,
)
from harken.questions.readings import AS_SPOKEN, GLUE, as_spoken, coarsest_reading, read, singular, undecorated
from harken.questions.words import is_joined_left, is_joined_right

MAX_MENTIONS = 200
LONGEST_NAME = 3
"""Words of a choice that may be part of a longer name; a longer choice is a sentence."""
_LINKING = frozenset(["is", "are", "was", "of", "to", "in", "on", "at", "with", "and", "or", "for", "by", "not", "no"])
_MARKED = re.compile(r"[\"'`*_]{1,3}$|^[\"'`*_]{1,3}(?!\w)")
_STATING = re.compile(
    r"\b(?:answer|choice|option|conclusion|verdict)\b[^,.;!?\n]{0,40}?\b(?:is|would be|must be|should be|:|"
    r"=)[\s\"'`*_({\[:]*$"
    r"|\b(?:answer|final answer|choice|option)\s*[:=-][\s\"'`*_({\[]*$"
    r"|\b(?:choose|pick|select|go with|guess|opt for|say)\s[\s\"'`*_({\[]*$"
    r"|答案(?:是|为|应该是)?[\s:：]*$|选择?[\s:：]*$",
    re.IGNORECASE,
)
_CORRECTION = re.compile(
    r"\b(?:no|wait|sorry|actually|correction|on second thoughts?|i mean|scratch that|final(?:ly)?)\b|不对|更正|其实",
    re.IGNORECASE,
)
_CONNECTED = re.compile(
    r"[\s\"'`*_()\[\]]*(?:(?:,|/|，|、|\bor\b|\band\b|&|或者?|和|还是)[\s\"'`*_()\[\]]*){1,3}(?:(?:else|also|maybe|"
    r"perhaps|even|then) )?"
)
# Words that are seldom meant as the choice of that text where they stand inside a sentence.
_WEAK = frozenset(
    ["yes", "no", "none", "true", "false", "not", "us", "it", "in", "on", "a", "i", "may", "one", "other", "both"]
)


@dataclass(frozen=True, slots=True)
class Mention:
    """A choice named in the answer: its place, and how much weight its sentence gives it.

    Weights: 3 "the answer is X"; 2 the sentence is the choice; 1 the sentence names it; 0 the sentence only holds
    it possible. `connected`: stands beside another in "X or Y".
    """

    start: int
    end: int
    choice: int
    weight: int
    connected: bool = False


def named_choice(answer: str, choices: Sequence[str], level: int) -> tuple[int | None, str]:
    """(index of the first choice with this text, "contained"), or None with the reason: "no choice", "several
    choices", "denied or asked" where the answer names choices without stating one."""
    text, glued = _text_under(answer, level)
    keys = [read(choice, level) for choice in choices]
    for key in (key for key, choice in zip(keys, choices, strict=True) if key and choice.rstrip().endswith("?")):
        text, glued = (t.replace(f"{key}?", f"{key} ") for t in (text, glued))  # a choice that asks is no question back
    if level >= AS_SPOKEN and ", " in text:
        text, glued = _without_commas_inside_choices(text, glued, keys)
    named, parts = _mentions(text, glued, keys)
    if not named:
        return None, "several choices" if parts else "no choice"
    if len(named) >= MAX_MENTIONS:
        return None, "several choices"  # no answer, and the mentions beyond are not known
    stated = _weighed(text, named, keys, refuses=REFUSAL.search(text[:2000]) is not None)
    if not stated:
        return None, "denied or asked"
    heaviest = max(mention.weight for mention in stated)
    stated = [mention for mention in stated if mention.weight == heaviest]
    last = stated[-1]
    others = [mention for mention in stated if mention.choice != last.choice]
    if others and not (heaviest >= 2 and _CORRECTION.search(text[others[-1].end : last.start])):
        return None, "several choices"
    if _contradicts(text, named, last):
        return None, "denied or asked"
    return last.choice, "contained"


def _contradicts(text: str, named: Sequence[Mention], stated: Mention) -> bool:
    """Whether the answer denies the choice that it states ("a dog, not a dog"), and does not correct itself between."""
    masked = _masked(text, named)
    for mention in named:
        if mention.choice == stated.choice and denies_directly(masked, mention.start):
            first, last = sorted((mention, stated), key=lambda both: both.start)
            corrected = first is mention and _CORRECTION.search(text[first.end : last.start])
            if not corrected:
                return True
    return False


def mentioned_choices(text: str, choices: Sequence[str]) -> set[int]:
    """Indices of the choices that stand in a text as whole words, whatever its sentences say of them."""
    level = coarsest_reading(choices, AS_SPOKEN)
    under, glued = _text_under(text, level)
    mentions, _ = _mentions(under, glued, [read(choice, level) for choice in choices])
    return {mention.choice for mention in mentions}


def _text_under(answer: str, level: int) -> tuple[str, str]:
    """The answer under a reading, and the same with `GLUE` where a compound has its hyphen; both of one length."""
    text = "; ".join(part for line in answer.split("\n") if (part := read(line, min(level, 2))))
    glued = as_spoken(text) if level >= AS_SPOKEN else text
    if level > AS_SPOKEN:
        glued = singular(glued)
    return glued.replace(GLUE, " "), glued


def _without_commas_inside_choices(text: str, glued: str, keys: Sequence[str]) -> tuple[str, str]:
    """Both texts without a comma that stands where a choice has none: "increasing, then decreasing"."""
    for key in keys:
        words = key.split(" ")
        if len(words) < 2 or "," in key or len(words) > 12:
            continue
        pattern = re.compile(r"\b" + r",? ".join(map(re.escape, words)) + r"(?!\w)")
        for match in reversed(list(pattern.finditer(text))):
            if match[0] != key:
                text, glued = (t[: match.start()] + key + t[match.end() :] for t in (text, glued))
    return text, glued


def _mentions(text: str, glued: str, keys: Sequence[str]) -> tuple[list[Mention], int]:
    """The places where a choice stands as whole words, except inside a longer one found there, in order; and how many
    further ones are parts of the name of something that is no choice."""
    taken = bytearray(len(text))
    mentions: list[Mention] = []
    parts = 0
    for key in sorted(dict.fromkeys(keys), key=len, reverse=True):
        start = text.find(key) if key else -1
        while start >= 0 and len(mentions) < MAX_MENTIONS:
            end = start + len(key)
            free = taken.find(0, start, end) >= 0
            if free and not is_joined_left(glued, start) and not is_joined_right(glued, end):
                taken[start:end] = b"\1" * (end - start)
                if _is_part_of_a_longer_name(text, start, end, key, keys):
                    parts += 1
                else:
                    mentions.append(Mention(start, end, keys.index(key), 1))
                start = text.find(key, end)
            else:
                start = text.find(key, start + 1)
    return sorted(mentions, key=lambda mention: mention.start), parts


def _is_part_of_a_longer_name(text: str, start: int, end: int, key: str, keys: Sequence[str]) -> bool:
    """Whether the word beside a mention comes from another choice that shares a word with it: "electric bass guitar"
    names neither "bass guitar" nor "electric guitar"."""
    own = set(map(singular, key.split()))
    if len(own) > LONGEST_NAME:
        return False
    names = [other.split() for other in keys if other != key and len(other.split()) <= LONGEST_NAME]
    related = [words for words in names if own & set(map(singular, words))]
    before, after = text[max(0, start - 40) : start], text[end : end + 40]
    beside = [before.split()[-1]] if before[:-1].strip() and before.endswith(" ") else []
    beside += [after.split()[0]] if after[1:].strip() and after.startswith(" ") else []
    return any(
        word.isalpha() and word not in _LINKING and word not in key.split() and word in other
        for word in beside
        for other in related
    )


def _weighed(text: str, named: Sequence[Mention], keys: Sequence[str], *, refuses: bool) -> list[Mention]:
    """The mentions that the answer states, each with its weight."""
    masked = _masked(text, named)
    weighed: list[Mention] = []
    before: Mention | None = None
    for mention in named:
        place = mention.start
        if _is_not_stated(masked, place, mention.end):
            before = None
            continue
        weight = _weight(masked, mention)
        if weight == 1 and follows_denied_list(masked, place):
            before = None
            continue
        if before is not None and _CONNECTED.fullmatch(text, before.end, place):
            weight = max(weight, before.weight)  # "X or Y": both stand in the same statement
            if weighed and weighed[-1] is before:
                weighed[-1] = replace(before, weight=weight, connected=True)
            mention = replace(mention, connected=True)
        before = replace(mention, weight=weight)
        weighed.append(before)
    return [
        mention
        for mention in weighed
        if mention.weight >= 2
        or mention.connected
        or not (keys[mention.choice] in _WEAK or (refuses and mention.weight == 0))
    ]


def _is_not_stated(text: str, start: int, end: int) -> bool:
    return is_question(text, end) or denies_before(text, start) or denies_after(text, end) or explains(text, start)


def _masked(text: str, named: Sequence[Mention]) -> str:
    """The text with letters x where choices stand, so that a "not" or a "?" inside a choice denies or asks nothing."""
    pieces, end = [], 0
    for mention in named:
        if mention.start < end:
            continue
        pieces += [text[end : mention.start], "x" * (mention.end - mention.start)]
        end = mention.end
    return "".join([*pieces, text[end:]])


def _weight(text: str, mention: Mention) -> int:
    before, after = clause_before(text, mention.start), clause_after(text, mention.end)
    if _STATING.search(text[max(0, mention.start - 100) : mention.start]):
        return 3
    begins = not undecorated(before).strip(" \"'`*_([{-") and _begins_a_sentence(text, mention.start - len(before))
    if begins and not undecorated(after).strip(" \"'`*_)]}.-"):
        return 2
    if begins and _MARKED.search(before) and _MARKED.match(after):
        return 2  # **X** or 'X' before further sentences
    return 0 if hedges(text, mention.start) else 1


def _begins_a_sentence(text: str, place: int) -> bool:
    before = text[max(0, place - 20) : place].rstrip()
    return not before or before[-1] in ".!?;:。！？；：\n"
