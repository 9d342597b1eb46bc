"""Whether a judge can tell good from bad: ten pairs with known verdicts for each aspect.

`harken judge check` shows the result before a run is trained on the judge's scores. A pair is told apart if the better
half gets the higher score. A judge that scores by chance, or gives everything the same score, fails.
"""

import functools
from concurrent.futures import Future
from dataclasses import dataclass
from importlib import resources

import yaml

from harken.judges.judge import Aspect, Judge, Verdict
from harken.types import Question

FEWEST_APART = 9
"""The judge must tell at least this many of ten pairs apart. Two fair coins tell a pair apart with probability 1/4, and
nine pairs of ten once in 34,000 checks."""


@dataclass(frozen=True, slots=True)
class CheckCase:
    """One question of wording/check_pairs.yaml, which says what the texts are."""

    question: str
    choices: tuple[str, ...]
    answer: str
    supporting: str
    contradicting: str
    worthless: str
    right_reply: str
    wrong_reply: str


@functools.cache
def check_cases() -> tuple[CheckCase, ...]:
    """The ten questions."""
    text = (resources.files("harken.judges") / "wording" / "check_pairs.yaml").read_text(encoding="utf-8")
    return tuple(CheckCase(**{**values, "choices": tuple(values["choices"])}) for values in yaml.safe_load(text))


@dataclass(frozen=True, slots=True)
class AspectCheck:
    """The pairs of one aspect: told apart, scored alike, scored the wrong way round, and those with a failed call.

    Attributes:
        reason: of the first failed call; "" where none failed.
    """

    aspect: Aspect
    apart: int
    alike: int
    reversed: int
    failed: int
    reason: str

    @property
    def fit(self) -> bool:
        return self.apart >= FEWEST_APART


def check_judge(judge: Judge, aspects: tuple[Aspect, ...] = ("consistency", "quality", "answer")) -> list[AspectCheck]:
    """Send both halves of every pair to the judge, and count."""
    pairs = {aspect: [_submit(judge, aspect, case) for case in check_cases()] for aspect in aspects}
    return [
        _count(aspect, [(better.result(), worse.result()) for better, worse in pairs[aspect]]) for aspect in aspects
    ]


def _submit(judge: Judge, aspect: Aspect, case: CheckCase) -> tuple[Future[Verdict], Future[Verdict]]:
    """The calls for the better and for the worse half of the pair."""
    question = Question(case.question, case.question, case.choices, case.choices.index(case.answer), None)
    halves = {
        "consistency": ((case.supporting, case.answer), (case.contradicting, case.answer)),
        "quality": ((case.supporting, ""), (case.worthless, "")),
        "answer": (("", case.right_reply), ("", case.wrong_reply)),
    }[aspect]
    better, worse = (judge.submit(aspect, question, reasoning, answer) for reasoning, answer in halves)
    return better, worse


def _count(aspect: Aspect, pairs: list[tuple[Verdict, Verdict]]) -> AspectCheck:
    apart = alike = wrong = failed = 0
    reasons = [verdict.reason for pair in pairs for verdict in pair if verdict.score is None]
    for better, worse in pairs:
        if better.score is None or worse.score is None:
            failed += 1
        elif better.score > worse.score:
            apart += 1
        elif better.score < worse.score:
            wrong += 1
        else:
            alike += 1
    return AspectCheck(aspect, apart, alike, wrong, failed, reasons[0] if reasons else "")
