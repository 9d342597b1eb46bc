"""A judge of the user's own: a function that scores one completion.

It takes the aspect, the question, the reasoning and the answer, and returns a number from 0 to 1. It may be async; if
it is not, it runs on threads. What it does wrong is a verdict without a score, which names it, so that a run counts it
and stops where too many fail.
"""

import inspect
import math
from collections.abc import Awaitable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

from harken.errors import raised, short_repr
from harken.judges.judge import Aspect, Verdict
from harken.system.background_loop import run_in_background
from harken.system.import_object import import_function
from harken.types import Question

THREADS = 16
"""Calls of a function that is not async at the same time."""


class OwnJudge:
    """A `Judge`. Raises ConfigError for a name that stands for no function."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._function = import_function(name, "judge.function", "judge")
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="judge")
        self._under_way: set[Future[Any]] = set()

    def submit(self, aspect: Aspect, question: Question, reasoning: str, answer: str) -> Future[Verdict]:
        verdict: Future[Verdict] = Future()
        verdict.set_running_or_notify_cancel()

        def finish(call: Future[Any]) -> None:
            self._under_way.discard(call)
            if call.cancelled():
                verdict.set_result(Verdict(None, "the judge was closed before it replied"))
            elif error := call.exception():
                verdict.set_result(Verdict(None, f"raised: {self._name} raised {raised(error)}"))
            elif inspect.isawaitable(value := call.result()):
                self._watch(run_in_background(cast(Awaitable[Any], value)), finish)
            else:
                verdict.set_result(self._verdict(value))

        self._watch(self._threads.submit(self._function, aspect, question, reasoning, answer), finish)
        return verdict

    def close(self) -> None:
        """Cancel the calls that are under way."""
        for call in list(self._under_way):
            call.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _watch(self, call: Future[Any], finish: Any) -> None:
        self._under_way.add(call)
        call.add_done_callback(finish)

    def _verdict(self, value: object) -> Verdict:
        if isinstance(value, bool | int | float) and math.isfinite(value) and 0 <= value <= 1:
            return Verdict(float(value), "")
        return Verdict(None, f"no score: {self._name} returned {short_repr(value)}; a score is a number from 0 to 1")
