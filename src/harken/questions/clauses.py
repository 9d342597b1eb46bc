"""Whether a sentence states what it names, or denies it, asks for it, or says that it cannot tell.

The functions take a text and the place of a word in it and look at the clause around that place. They look at 300
characters at most, so that the time stays linear in the length of the text.
"""

import re

_REACH = 300
_SENTENCE_END = re.compile(r"[!?？！。；;\n]|\.(?=\s|$|[A-Z])|…")
_CLAUSE_END = re.compile(
    r"[,，、:：!?？！。；;\n…]|\.(?=\s|$)|\s-\s|\b(?:but|however|although|though|because|so|while|whereas|yet|"
    r"therefore|thus|hence)\b"
    r"|而是|但|因为|所以",
    re.IGNORECASE,
)
_DENIAL = re.compile(
    r"\b(?:not|never|neither|nor|cannot|nobody|none|nothing|hardly|barely|scarcely|unable|unsure|unclear|"
    r"uncertain|impossible|unlikely"
    r"|doubt|whether|if|wrong|incorrect|false|eliminates?|eliminated|excludes?|excluded|rules? out|"
    r"ruled out|hard to|difficult to"
    r"|far from|other than|anything but|nicht|kein|keine|keinen|pas|mistaken for|mistake for|"
    r"confused with)\b|n't\b|\bno\b(?!\s+(?:doubt|question|other|one else))"
    r"|不是|没有|不能|无法|并非|不知道|不确定|是否|不像|不太|难以|抱歉|非(?!常)|不(?!错|过|仅|只|同)",
    re.IGNORECASE,
)
_NEAR_DENIAL = re.compile(
    r"\b(?:without|unlike|except|excluding|besides|than|instead of|between|rather than|as opposed to|"
    r"compared (?:to|with)|over|under|above|below|at least|at most|up to|more|less|versus|"
    r"vs)\s+(?:\S+\s+){0,2}$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    r"^\W{0,3}\s*(?:would|might have)\b(?!\s+(?:be|seem)\s+(?:the|my|a|an)?\s*(?:\w+\s+)?(?:answer|correct|"
    r"right|best|choice|most))|"
    r"^\W{0,3}\s*(?:\w+\s+){0,2}?(?:(?:is|was|are|were|do|does|did|can|could|would|will|has|have|"
    r"seems?)\s+(?:\w+\s+){0,2}?(?:not|never|hardly)\b"
    r"|(?:is|was|are|were|seems?|would be|can be|could be)\s+(?:\w+\s+){0,2}?(?:wrong|incorrect|false|"
    r"absent|missing|unlikely|impossible|ruled out|excluded|eliminated|out of the question)\b"
    r"|(?:isn't|wasn't|aren't|weren't|doesn't|don't|didn't|can't|couldn't|wouldn't|won't|cannot))",
    re.IGNORECASE,
)
_DIRECT_DENIAL = re.compile(
    r"(?:\b(?:not|never|neither|nor|no)\b|n't\b|不是|没有|并非)(?:\s+(?:a|an|the|any|or|nor|and|x+))*[\s\"'`*_(\[]*$",
    re.IGNORECASE,
)
_INVERTED = re.compile(
    r"^\W*(?:is|was|are|were|could|would|can|does|do|did) (?:it|this|that|there|they|he|she|you|we)\b", re.IGNORECASE
)
_EXPLAINS = re.compile(
    r"\b(?:because|since|as|given that|due to|explanation|reason|compared|unlike)\b|因为", re.IGNORECASE
)
_HEDGE = re.compile(
    r"\b(?:might|may|could|maybe|perhaps|possibly|at first|similar to|resembles?|also|initially|would|"
    r"thought|considered|considering|consider|assumed)\b|可能|也许|或许",
    re.IGNORECASE,
)
REFUSAL = re.compile(
    r"\b(?:sorry|unable|apologi[sz]e)\b|\b(?:can not|cannot|can't|could not|couldn't|do not|don't|"
    r"not able to)\s+(?:\w+\s+)?(?:hear|tell|determine|identify|answer|listen|access|know|say|decide|judge|"
    r"provide|process|choose)\b"
    r"|无法|不能确定|抱歉",
    re.IGNORECASE,
)


def clause_before(text: str, place: int) -> str:
    """The part of the clause before `place`."""
    window = text[max(0, place - _REACH) : place]
    start = 0
    for match in _CLAUSE_END.finditer(window):
        start = match.end()
    return window[start:]


def clause_after(text: str, place: int) -> str:
    """The part of the clause from `place` on."""
    window = text[place : place + _REACH]
    match = _CLAUSE_END.search(window)
    return window[: match.start()] if match else window


def denies_before(text: str, place: int) -> bool:
    """Whether the clause denies, or doubts, what is named at `place`."""
    before = clause_before(text, place)
    return _DENIAL.search(before) is not None or _NEAR_DENIAL.search(before) is not None


def denies_after(text: str, place: int) -> bool:
    """Whether the clause goes on to deny what ends at `place`: "... is wrong", "... does not fit"."""
    return _DENIED_AFTER.match(clause_after(text, place)) is not None


def denies_directly(text: str, place: int) -> bool:
    """Whether a denial stands right before what is named at `place`: "not a dog", "neither a cat nor a dog".

    Choices stand as runs of the letter x in `text`.
    """
    return _DIRECT_DENIAL.search(clause_before(text, place)) is not None


def hedges(text: str, place: int) -> bool:
    """Whether the clause only holds what is named at `place` possible."""
    return _HEDGE.search(clause_before(text, place)) is not None


def explains(text: str, place: int) -> bool:
    """Whether what is named at `place` stands in the part of its sentence that gives a reason."""
    window = text[max(0, place - _REACH) : place]
    start = max((match.end() for match in _SENTENCE_END.finditer(window)), default=0)
    cues = list(_EXPLAINS.finditer(window, start))
    if not cues:
        return False
    cue = cues[-1]
    begins_the_sentence = not window[start : cue.start()].strip(" \"'*_")
    return not (begins_the_sentence and "," in window[cue.end() :])  # "As it meows, it is a cat."


def is_question(text: str, place: int) -> bool:
    """Whether the sentence around `place` ends with a question mark, or begins as a question does ("is it a dog")."""
    start = max(0, place - _REACH)
    begins = max((match.end() for match in _SENTENCE_END.finditer(text, start, place)), default=start)
    if _INVERTED.match(text[begins:place]):
        return True
    match = _SENTENCE_END.search(text, place, place + _REACH)
    if match is not None and match[0] in "?？":
        return True
    end = match.start() if match else min(len(text), place + _REACH)
    return text[max(place, end - 1) : end] in ("吗", "呢")


def follows_denied_list(text: str, place: int) -> bool:
    """Whether what is named at `place` only continues a list that is denied: "not a dog, a cat"."""
    before = text[max(0, place - _REACH) : place]
    match = re.search(r"(?:,|，|、)\s*(?:(?:or|nor|and|a|an|the)\s+)*$", before)
    if match is None or not before[: match.start()].strip():
        return False
    return denies_before(text, place - (len(before) - match.start()))
