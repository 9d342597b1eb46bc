"""The verdicts that a training step needs, computed in the background while the reference model scores the completions.

`harken.grpo.rewarding` submits each micro-batch with `submit_completions` and later waits with `collect_verdicts`.
Reasoning is judged of completions of the form think alone: the others have none, and malformed ones earn nothing by it
anyway. Answers are judged where the question is open.
"""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import NamedTuple

from harken.config.reward import Judgement
from harken.judges.failures import FailureCount, count_failures
from harken.judges.judge import Judge, Verdict
from harken.rewards import JudgeScores
from harken.system.stop_signals import stop_requested
from harken.types import Response

LOOK_EVERY_S = 1.0
"""The time between two looks at whether the run is to stop, while verdicts are awaited."""


class TimedVerdict(NamedTuple):
    """A verdict, and the time from its request to its arrival."""

    verdict: Verdict
    latency_s: float


PendingVerdicts = list[dict[Judgement, Future[TimedVerdict]]]
"""[R] the verdicts under way for each completion, by aspect; empty for a completion that is not judged."""


@dataclass(frozen=True, slots=True)
class BatchVerdicts:
    """The verdicts on the completions of a micro-batch.

    Attributes:
        scores: [R], without values where a completion is not judged or the judge failed.
        failures: all calls, and those that failed.
        latency_s: one value a call.
    """

    scores: list[JudgeScores]
    failures: FailureCount
    latency_s: list[float]


def submit_completions(judge: Judge, aspects: Iterable[Judgement], responses: Sequence[Response]) -> PendingVerdicts:
    """Send every completion to the judge that has what an aspect is about, and return at once."""
    ordered = sorted(aspects)
    return [
        {aspect: _submit(judge, aspect, response) for aspect in ordered if _is_judged(aspect, response)}
        for response in responses
    ]


def _is_judged(aspect: Judgement, response: Response) -> bool:
    if aspect == "answer":
        return not response.question.choices and bool(response.grade.extracted.strip())
    return response.form == "think"


def wait_for_verdicts(pending: Iterable[PendingVerdicts], deadline: float | None = None) -> None:
    """Return when all verdicts have arrived, at the deadline (a time of `time.perf_counter`), or when the run is to
    stop."""
    calls = [call for verdicts in pending for row in verdicts for call in row.values()]
    while stop_requested() is None:
        left_s = LOOK_EVERY_S if deadline is None else min(LOOK_EVERY_S, deadline - time.perf_counter())
        calls = wait(calls, timeout=max(0.0, left_s)).not_done
        if not calls or left_s <= 0:
            return


def collect_verdicts(pending: PendingVerdicts, deadline: float | None = None) -> BatchVerdicts:
    """Wait for every verdict.

    Args:
        deadline: a time of `time.perf_counter`. A verdict that has not arrived by then counts as failed, and a failed
            verdict takes its place in `pending`. None waits without limit.
    """
    if deadline is not None:
        _fail_late_verdicts(pending, deadline)
    by_row = [{aspect: verdict.result() for aspect, verdict in verdicts.items()} for verdicts in pending]
    scores = [JudgeScores(**{aspect: timed.verdict.score for aspect, timed in row.items()}) for row in by_row]
    calls = [timed for row in by_row for timed in row.values()]
    return BatchVerdicts(scores, count_failures(call.verdict for call in calls), [call.latency_s for call in calls])


def _fail_late_verdicts(pending: PendingVerdicts, deadline: float) -> None:
    calls = [verdict for verdicts in pending for verdict in verdicts.values()]
    wait(calls, timeout=max(0.0, deadline - time.perf_counter()))
    for verdicts in pending:
        for aspect, verdict in verdicts.items():
            if not verdict.done():
                late: Future[TimedVerdict] = Future()
                late.set_result(TimedVerdict(Verdict(None, "late: no verdict before the step's deadline"), 0.0))
                verdicts[aspect] = late


def _submit(judge: Judge, aspect: Judgement, response: Response) -> Future[TimedVerdict]:
    timed: Future[TimedVerdict] = Future()
    started = time.perf_counter()

    def finish(verdict: Future[Verdict]) -> None:
        error = verdict.exception()
        if error is not None:
            timed.set_exception(error)  # a bug of harken: whatever a judge does wrong is a verdict without a score
        else:
            timed.set_result(TimedVerdict(verdict.result(), time.perf_counter() - started))

    answer = response.grade.extracted.strip()
    by_rubric = aspect == "answer" and response.question.rubric
    what = "rubric" if by_rubric else aspect
    judge.submit(what, response.question, response.reasoning, answer).add_done_callback(finish)
    return timed
