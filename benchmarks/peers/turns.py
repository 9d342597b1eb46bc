"""The peer's side of an interleaved run: one step for each line of standard input, and its cost on standard output.

A trainer calls a `Turns` at the end of every step, and once before the first. A step lasts from one call to the next,
so that everything a trainer does between two steps counts. It needs the standard library alone, because it runs in the
peer's environment. With HARKEN_COUNT in the environment the answer is what `counting.py` counted in the step, instead.
"""

import json
import os
import sys
import time


class Turns:
    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w")  # what the peer prints goes elsewhere
        os.dup2(2, 1)
        self._started: tuple[float, float] | None = None
        self._counter = None
        if os.environ.get("HARKEN_COUNT"):
            from counting import Counter

            self._counter = Counter().__enter__()

    def __call__(self) -> None:
        if self._started is not None:
            wall, cpu = self._started
            cost = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
            if self._counter is None:
                print("COST", json.dumps(cost), file=self._out, flush=True)
            else:
                print("COUNTS", json.dumps(self._counter.take()), file=self._out, flush=True)
        if not sys.stdin.readline():
            os._exit(0)  # the peer may hold threads that would wait
        if self._counter is not None:
            self._counter.take()
        self._started = time.perf_counter(), time.process_time()
