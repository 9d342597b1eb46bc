"""How many calls to a judge failed, what the user is told about them, and when a run must stop.

`count_failures` counts the verdicts of a step; counts add up over micro-batches and ranks, so that all ranks that see
the same sum decide the same. `FailureLimit` follows the run and stops it when too many calls fail. Where the model
hardly thinks, a step may have two calls, and one failure of two says nothing about the server: steps are added up until
they have enough calls to judge by.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harken.errors import JudgeError
from harken.judges.judge import Verdict

FEWEST_CALLS = 20
"""Steps are added up until they have this many calls; then their share of failures is compared with the limit [O]."""


@dataclass(frozen=True, slots=True)
class FailureCount:
    """Calls to a judge, and the failed ones by kind.

    Attributes:
        kinds: kind of failure (the reason up to its first ": ") -> number of calls; they sum to `n_failed`.
        examples: kind of failure -> the first whole reason.
        fatal: the first reason because of which every further call would fail too.
    """

    n_calls: int = 0
    n_failed: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)
    fatal: str | None = None

    @property
    def failed_share(self) -> float:
        """Failed calls / all calls; 0 without any call."""
        return self.n_failed / self.n_calls if self.n_calls else 0.0

    def __add__(self, other: "FailureCount") -> "FailureCount":
        return FailureCount(
            self.n_calls + other.n_calls,
            self.n_failed + other.n_failed,
            dict(Counter(self.kinds) + Counter(other.kinds)),
            {**other.examples, **self.examples},
            self.fatal or other.fatal,
        )


def count_failures(verdicts: Iterable[Verdict]) -> FailureCount:
    """Count calls and failures; each verdict is one call."""
    total = FailureCount()
    for verdict in verdicts:
        if verdict.score is not None:
            total += FailureCount(n_calls=1)
        else:
            kind = verdict.reason.partition(": ")[0]
            fatal = verdict.reason if verdict.fatal else None
            total += FailureCount(1, 1, {kind: 1}, {kind: verdict.reason}, fatal)
    return total


class FailureLimit:
    """Stops a run whose judge fails too often.

    Args:
        max_share: as `JudgeConfig.max_failed_share`.
    """

    def __init__(self, max_share: float) -> None:
        self._max_share = max_share
        self._kinds_shown: set[str] = set()
        self._pooled = FailureCount()

    def check_step(self, count: FailureCount) -> list[str]:
        """Add the count of one step over all ranks. Returns a line to show for each kind of failure that is new.

        Raises JudgeError where the share of failed calls is above the limit: at once if a failure is fatal, otherwise
        when the steps since the last check have `FEWEST_CALLS` calls together.
        """
        self._pooled += count
        if self._pooled.n_calls >= FEWEST_CALLS or count.fatal is not None:
            if self._pooled.failed_share > self._max_share:
                raise JudgeError(_stop_message(self._pooled, self._max_share))
            self._pooled = FailureCount()
        new_kinds = [kind for kind in count.kinds if kind not in self._kinds_shown]
        self._kinds_shown.update(new_kinds)
        n = count.n_calls
        return [f"judge: {count.kinds[kind]} of {n} calls failed: {count.examples[kind]}" for kind in new_kinds]


def _stop_message(count: FailureCount, max_share: float) -> str:
    limit = f"({count.failed_share:.0%}, limit {max_share:.0%})"
    failed = f"judge: {count.n_failed} of {count.n_calls} calls failed {limit}"
    if count.fatal is not None:
        return f"{failed}: {count.fatal}"
    frequent = sorted(count.kinds, key=lambda kind: (-count.kinds[kind], kind))[:3]
    reasons = "; ".join(f"{count.kinds[kind]} x {count.examples[kind]}" for kind in frequent)
    return f"{failed}: {reasons}. Mend the judge, or allow more with judge.max_failed_share, and resume the run"
