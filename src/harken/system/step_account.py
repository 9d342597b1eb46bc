"""The account of a script that does one step after another: a line for each step with what it took.

recipes/small and recipes/digits keep one in each seed's folder; the programs of benchmarks/ make their tables of costs
from it.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from harken.system.environment import source_commit
from harken.system.json_lines import append_json_lines


@contextlib.contextmanager
def step_account(step: str, file: Path) -> Iterator[None]:
    """Append a line on the block to `file`, also where the block fails or is stopped.

    The line holds `step`, `seconds` on the clock, `cpu_s` of this process and of the commands that it waited for,
    `code` (0 where the block came to its end, the exit code where it raised SystemExit, else 1), harken's `commit`, and
    the machine's `load` at the end.
    """
    started, before, code = time.monotonic(), _cpu_s(), 1
    try:
        yield
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        raise
    finally:
        row = {
            "step": step,
            "seconds": round(time.monotonic() - started, 1),
            "cpu_s": round(_cpu_s() - before, 1),
            "code": code,
            "commit": source_commit() or "unknown",
            "load": round(os.getloadavg()[0], 1),
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        append_json_lines(file, [row])


def _cpu_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system
