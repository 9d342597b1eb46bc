"""What a step's completions are judged to be, asked in the background while the reference scores them.

Takes responses, gives the judge's scores of those that think, with what failed and how long it took. Not taken: asking
about malformed outputs. What they hold is no reasoning that could be told from the rest, and they earn none of it.
"""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Literal

from harken.judges import FailureCount, Judge, Verdict, count_failures
from harken.rewards import JudgeScores
from harken.types import Response

RewardAspect = Literal["consistency", "quality"]

Answered = tuple[Verdict, float]
"""A verdict and the seconds it took."""

Asked = list[dict[RewardAspect, Future[Answered]]]
"""[R] aspect -> its verdict, on its way; empty for a completion that is not judged."""


@dataclass(frozen=True, slots=True)
class Heard:
    """[R] scores, and the calls behind them."""

    judged: list[JudgeScores]
    failures: FailureCount
    latency_s: list[float]


def ask(judge: Judge, aspects: Iterable[RewardAspect], responses: Sequence[Response]) -> Asked:
    """Put every completion of the form think to the judge; returns at once."""
    wanted = sorted(aspects)
    return [
        {aspect: _ask(judge, aspect, response) for aspect in wanted} if response.form == "think" else {}
        for response in responses
    ]


def hear(asked: Asked, until: float | None = None) -> Heard:
    """Wait for every verdict; those that are not there at `until` (of `time.perf_counter`) have failed, here and in
    `asked`."""
    if until is not None:
        _give_up(asked, until)
    found = [{aspect: answer.result() for aspect, answer in one.items()} for one in asked]
    judged = [JudgeScores(**{aspect: verdict.score for aspect, (verdict, _) in one.items()}) for one in found]
    answered = [answer for one in found for answer in one.values()]
    return Heard(judged, count_failures(verdict for verdict, _ in answered), [seconds for _, seconds in answered])


def _give_up(asked: Asked, until: float) -> None:
    wait([answer for one in asked for answer in one.values()], timeout=max(0.0, until - time.perf_counter()))
    for one in asked:
        for aspect, answer in one.items():
            if not answer.done():
                late: Future[Answered] = Future()
                late.set_result((Verdict(None, "late: no verdict before the step's deadline"), 0.0))
                one[aspect] = late


def _ask(judge: Judge, aspect: RewardAspect, response: Response) -> Future[Answered]:
    answered: Future[Answered] = Future()
    started = time.perf_counter()

    def finish(verdict: Future[Verdict]) -> None:
        error = verdict.exception()
        if error is not None:
            answered.set_exception(error)  # a bug: what a judge does wrong is a verdict without a score
        else:
            answered.set_result((verdict.result(), time.perf_counter() - started))

    answer = response.grade.extracted.strip()
    judge.submit(aspect, response.question, response.reasoning, answer).add_done_callback(finish)
    return answered
