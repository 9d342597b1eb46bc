"""One step for each line of standard input, its cost on standard output: how a peer takes part in an interleaved run.

Call a `Turns` at the end of every step, and once before the first. A step lasts from one call to the next, so that
all a trainer does between two steps counts. Uses nothing but the standard library: it runs in the peer's environment.
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

    def __call__(self) -> None:
        if self._started is not None:
            wall, cpu = self._started
            cost = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
            print("COST", json.dumps(cost), file=self._out, flush=True)
        if not sys.stdin.readline():
            os._exit(0)  # the peer may hold threads that would wait
        self._started = time.perf_counter(), time.process_time()
