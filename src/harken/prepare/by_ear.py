"""The filter `--by-ear`: leaves out questions that ask for what can be seen and not heard.

Questions of audio-visual sets are written about videos, and AVQA's label `question_relation` calls nearly all of them
Both. `unheard` reads a question's words with the rules of `RULES`, in their order. A rule names what is asked for; a
word that only describes a thing (the white animal, the man with glasses) leaves a question in. The rules are English,
and docs/data.md says how often they are right.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

from harken.data.records import RecordError
from harken.prepare.data_card import CardTable
from harken.types import Question

_BODY = r"(?:hands?|arms?|backs?|heads?|necks?|mouths?|faces?|shoulders?|waists?|feet|foot|legs?|body|wrists?|fingers?)"
_SOUND = (
    r"(?:sound|hear|heard|audible|voice|speak|talk|say|said|spoken|sing|sung|song|music|instrument|not(?:e|es)\b|beat|"
    r"times\b|second|minute|bark|call|cry|cries|chirp|laugh|clap|ring|knock|shot|blast|honk|beep|word|sentence|syllable|"
    r"language|tone|pitch|click|tick|cough|sneeze|step|play|chord|key|drum|hit|strike|chime|toll|"
    r"conversation|dialog|discuss|exchange|argument|debate|interview|section|time\b)"
)
_ASKS_FOR_SOUND = re.compile(r"\b(?:sounds?|noises?|hear|heard|audible|voices?)\b", re.IGNORECASE)
_GOING = (
    r"(?:driv|runn?(?:ing|s)?\b|travel|walk|mov(?:e|ing)|tak(?:e|es|ing) place|happen|occur|record|com(?:e|es|ing)\b)"
)
_SCENE = r"(?:video|audio|clip|recording|scene|sound|noise|event|action|story|music|voice|people|persons?)"


@dataclass(frozen=True, slots=True)
class EarRule:
    """What questions of a kind ask for, the pattern by which they are known, and an example."""

    name: str
    pattern: re.Pattern[str]
    example: str


def _rule(name: str, pattern: str, example: str) -> EarRule:
    return EarRule(name, re.compile(pattern, re.IGNORECASE), example)


RULES = (
    _rule(
        "colour",
        r"(?<!tone )(?<!tonal )(?<!sound )(?<!vocal )(?<!voice )(?<!noise )\bcolou?r(?:s|ed)?\b(?! noise)",
        "What color is the car?",
    ),
    _rule("a number of things seen", rf"\bhow many\b(?!.*\b{_SOUND})", "How many birds are there?"),
    _rule(
        "what is held or worn",
        rf"\b(?:wear(?:s|ing)?|worn|dressed)\b"
        rf"|\bwhat(?!\s+(?:\w+\s+)?instruments?\b).*\b(?:hold(?:s|ing)?|carry(?:ing)?|carries)\b"
        rf"|\bwhat(?:'s|\s+is|\s+are)\s+(?:in|on)\s+(?:\S+\s+){{0,4}}{_BODY}\b",
        "What is in the man's hand?",
    ),
    _rule(
        "where a thing is",
        rf"\bwhere\s+(?:is|are|was|were|do|does|did)\s+(?:the|a|an|this|that|these|those)\s+"
        rf"(?!(?:\w+\s+)?{_SCENE}\s*(?:in\s|of\s|\?|$))(?!.*\b(?:likely|{_GOING}))"
        rf"|\bwhere\b.*\b(?:sit(?:s|ting)?|stand(?:s|ing)?|lying|lies|squat(?:s|ting)?|perch(?:es|ed|ing)?)\b"
        rf"|\bwhat(?:'s|\s+is|\s+are)\s+the\s+\w+\s+(?:sitting |standing |lying )?on\b",
        "Where is the dog?",
    ),
    _rule(
        "left and right in the picture",
        r"\b(?:on|to|at|from|in)\s+the\s+(?:far\s+|very\s+)?(?:left|right|middle)\b|\b(?:left|right)most\b",
        "What is on the left?",
    ),
    _rule(
        "looks",
        r"\blooks?\s+like\b|\b(?:view|scenery|landscape)\b|\bappearance\b(?! of)|\b(?:clothe?s|clothing|outfit|"
        r"hairstyle|hair)\b|\bfacial\b|\bshape\b|\b(?:shining|glowing|lighting)\b|\bgestures?\b|\bcamera\s+(?:angle|shot)\b",
        "What does the man look like?",
    ),
    _rule(
        "text that is shown",
        r"\b(?:written|printed|subtitles?|watermark|logo|on-?screen)\b|\bon\s+the\s+(?:screen|sign|poster|banner|shirt)\b"
        r"|\b(?:text|sign)\b.*\b(?:say|says|read|reads|show|shown|appears?)\b",
        "What is written on the sign?",
    ),
    _rule("the season", r"\bseason\b", "In which season does it take place?"),
)
"""What cannot be answered by ear, in the order in which it is looked for."""


def unheard(text: str) -> str | None:
    """The name of the first rule that a question's words fit, or None for a question that is kept.

    Example:
        >>> unheard("What color is the dog?"), unheard("What is the white animal?")
        ('colour', None)
    """
    name = next((rule.name for rule in RULES if rule.pattern.search(text)), None)
    return None if name != "colour" and _ASKS_FOR_SOUND.search(text) else name


@dataclass(slots=True)
class EarFilter:
    """The filter of one command, and how many questions it left out by each rule.

    Attributes:
        on: False keeps every question.
    """

    on: bool
    counts: Counter[str] = field(default_factory=Counter)

    def reason(self, question: Question) -> str | None:
        """Why a question is left out, or None. Each call counts, so ask once for each question."""
        name = unheard(question.text) if self.on else None
        if name is None:
            return None
        self.counts[name] += 1
        return f"not by ear: {name}"

    def check(self, question: Question) -> Question:
        """The question itself. Raises RecordError with the reason for one that is left out."""
        reason = self.reason(question)
        if reason is not None:
            raise RecordError(reason)
        return question

    def tables(self) -> list[CardTable]:
        """The list of what is left out, for the card; no table where the filter is off."""
        rows = [(f"{rule.name}: {rule.example}", f"{self.counts[rule.name]:,}") for rule in RULES]
        return [CardTable("Left out because it cannot be answered by ear", ("", "n"), rows)] if self.on else []
