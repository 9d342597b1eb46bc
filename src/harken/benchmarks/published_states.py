"""Recognises which published state of a benchmark's file some records are from, by the share of items that agree.

Authors mend their files: MMAU's test-mini has had twelve states and MMAR's file two. The texts in states/ hold, for
each item of each state, hashes of its id, its choices and its answer. A line `state NAME VERSION` names a state by the
day it was published; states of one version differ in a few mended items, and other versions are other benchmarks. A
state that is `passing` was replaced within days and counts only where no other state agrees as well.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SAME_BENCHMARK = 0.95
"""Records are of a version if at least this share of them agrees with one of its states [O]. States of one version
agree in 99 % of their items, those of MMAU's two versions in 68 %."""

Item = tuple[str, Sequence[str] | None, str | None]
"""(id, choices or None, the text of the right answer or None); what is None is not compared."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """The published state of a benchmark's file that some records agree with best.

    Attributes:
        version: the version whose state agrees best; "unknown" where fewer than half of the ids are known or where two
            versions agree equally well, "mixed" where no state agrees in `SAME_BENCHMARK` of the records. Where all
            states are of one version, it is always that one.
        state: the day on which the state that agrees best was published; "" where the version is unknown.
        n, n_agree: records, and those that agree with that state.
        differing: ids of the others.
    """

    version: str
    state: str = ""
    n: int = 0
    n_agree: int = 0
    differing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _State:
    name: str
    version: str
    passing: bool


class PublishedStates:
    """The published states of one benchmark."""

    def __init__(self, text: str) -> None:
        """Read what states/ holds: lines that name states, and words of 18 hexadecimal digits.

        A word is 6 digits of a hash of the id, 6 of the id with the choices, 4 of the id with the answer, and the first
        and the last state that have the item.
        """
        lines = text.splitlines()
        named = [line.split(" ") for line in lines if line.startswith("state ")]
        self._states = [_State(name, next(iter(rest), ""), "passing" in rest) for _, name, *rest in named]
        self._words: dict[str, list[str]] = {}
        for word in " ".join(line for line in lines if not line.startswith("state ")).split():
            self._words.setdefault(word[:6], []).append(word[6:])

    def recognise(self, items: Iterable[Item]) -> Recognised:
        """The state that agrees with most of the items; the latest of equally good ones."""
        listed = list(items)
        holders = [self._holders(item) for item in listed]
        known = sum(_hash(6, ident) in self._words for ident, _, _ in listed)
        counts = [sum(state in held for held in holders) for state in range(len(self._states))]
        most, only = max(counts), {state.version for state in self._states}
        if most == 0 or known < len(listed) / 2:
            return Recognised(only.pop() if len(only) == 1 else "unknown", n=len(listed))
        best = [state for state, count in enumerate(counts) if count == most]
        best = [state for state in best if not self._states[state].passing] or best
        versions = {self._states[state].version for state in best}
        differing = tuple(item[0] for item, held in zip(listed, holders, strict=True) if best[-1] not in held)
        version = versions.pop() if len(versions) == 1 else "unknown"
        if len(only) > 1 and most < SAME_BENCHMARK * len(listed):
            version = "mixed"
        return Recognised(version, self._states[best[-1]].name, len(listed), most, differing)

    def has(self, item: Item) -> bool:
        """Whether any state has this item."""
        return bool(self._holders(item))

    def _holders(self, item: Item) -> set[int]:
        """The states that have the item."""
        ident, choices, answer = item
        marks = "" if choices is None else _hash(6, ident, [choice.strip() for choice in choices])
        of_answer = "" if answer is None else _hash(4, ident, answer.strip())
        return {
            state
            for word in self._words.get(_hash(6, ident), ())
            if word.startswith(marks) and word[6:10].startswith(of_answer)
            for state in range(int(word[10], 16), int(word[11], 16) + 1)
        }


def _hash(digits: int, *parts: str | list[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()[:digits]


@cache
def published_states(name: str) -> PublishedStates:
    """The states of the benchmark with this name, which must have a file in states/."""
    return PublishedStates((Path(__file__).parent / "states" / f"{name}.txt").read_text(encoding="ascii"))
