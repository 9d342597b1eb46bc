"""How often a judge failed: verdicts of a step -> counts, lines to print once, and the decision to stop.

Counts add up over ranks and parts of a step; all ranks that see the same sum decide the same. Not taken: stopping on
one step of few calls. Where a model hardly thinks any more a step may hold two calls, and one failure of two says
nothing about the server: steps are pooled until they hold enough.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harken.errors import JudgeError
from harken.judges.judge import Verdict

FEWEST_CALLS = 20
"""Steps with fewer calls than this are pooled before their share of failures is compared with the limit [O]."""


@dataclass(frozen=True, slots=True)
class FailureCount:
    """Calls to a judge and what became of them.

    Attributes:
        kinds: kind of failure (the reason up to its first ": ") -> how many; they sum to `failed`.
        examples: kind of failure -> the first whole reason.
        fatal: the first reason for which every further call would fail too.
    """

    asked: int = 0
    failed: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)
    fatal: str | None = None

    @property
    def share(self) -> float:
        """Of the calls asked; 0 where none was."""
        return self.failed / self.asked if self.asked else 0.0

    def __add__(self, other: "FailureCount") -> "FailureCount":
        return FailureCount(
            self.asked + other.asked,
            self.failed + other.failed,
            dict(Counter(self.kinds) + Counter(other.kinds)),
            {**other.examples, **self.examples},
            self.fatal or other.fatal,
        )


def count_failures(verdicts: Iterable[Verdict]) -> FailureCount:
    """Count the verdicts that were asked for; no-think completions have none and are not among them."""
    total = FailureCount()
    for verdict in verdicts:
        if verdict.score is not None:
            total += FailureCount(asked=1)
        else:
            kind = verdict.reason.partition(": ")[0]
            fatal = verdict.reason if verdict.fatal else None
            total += FailureCount(1, 1, {kind: 1}, {kind: verdict.reason}, fatal)
    return total


class FailureLimit:
    """Follows a run step by step; `max_share` as `JudgeConfig.max_failed_share`."""

    def __init__(self, max_share: float) -> None:
        self._max_share = max_share
        self._explained: set[str] = set()
        self._pooled = FailureCount()

    def step(self, count: FailureCount) -> list[str]:
        """Take the count of one step over all ranks, give a line for each kind of failure not seen before.

        Raises JudgeError where the share of failed calls is above the limit; with a fatal reason at once, otherwise
        over the steps since the last `FEWEST_CALLS` calls.
        """
        self._pooled += count
        if self._pooled.asked >= FEWEST_CALLS or count.fatal is not None:
            if self._pooled.share > self._max_share:
                raise JudgeError(_stop_message(self._pooled, self._max_share))
            self._pooled = FailureCount()
        fresh = [kind for kind in count.kinds if kind not in self._explained]
        self._explained.update(fresh)
        return [f"judge: {count.kinds[kind]} of {count.asked} calls failed: {count.examples[kind]}" for kind in fresh]


def _stop_message(count: FailureCount, max_share: float) -> str:
    failed = f"judge: {count.failed} of {count.asked} calls failed ({count.share:.0%}, limit {max_share:.0%})"
    if count.fatal is not None:
        return f"{failed}: {count.fatal}"
    frequent = sorted(count.kinds, key=lambda kind: (-count.kinds[kind], kind))[:3]
    reasons = "; ".join(f"{count.kinds[kind]} x {count.examples[kind]}" for kind in frequent)
    return f"{failed}: {reasons}. Mend the judge, or allow more with judge.max_failed_share, and resume the run"
