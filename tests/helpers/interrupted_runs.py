"""Training runs that stop at the end of a step, as if they were killed there."""

import pytest
from small_runs import LOOPS, quiet_console

from harken.training.progress_table import ProgressTable


class InterruptedRunError(Exception):
    pass


def run_until(loop, recipe, out, after, monkeypatch, *, half_row=False, resume=False):
    """Run up to the end of step `after`.

    Args:
        half_row: leave half a metric row behind, as a process that is killed while it writes one.
    """

    def advance(self, step, row, *, stop=False):
        if step == after:
            raise InterruptedRunError

    with monkeypatch.context() as patch:
        patch.setattr(ProgressTable, "advance", advance)
        with pytest.raises(InterruptedRunError):
            LOOPS[loop](recipe, out, quiet_console(), resume=resume)
    if half_row:
        with (out / "metrics.jsonl").open("ab") as file:
            file.write(b'{"step": 6, "note": "\xc3')  # cut inside a letter
