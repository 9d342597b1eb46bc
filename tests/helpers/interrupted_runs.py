"""A training run that stops at the end of a step, as a killed one would."""

import pytest
from small_runs import LOOPS, silent

from harken.training.progress_table import ProgressTable


class InterruptedRunError(Exception):
    pass


def interrupted(loop, recipe, out, after, monkeypatch, *, half_row=False, resume=False):
    """The run up to the end of step `after`."""

    def advance(self, step, row, *, stop=False):
        if step == after:
            raise InterruptedRunError

    with monkeypatch.context() as patch:
        patch.setattr(ProgressTable, "advance", advance)
        with pytest.raises(InterruptedRunError):
            LOOPS[loop](recipe, out, silent(), resume=resume)
    if half_row:
        with (out / "metrics.jsonl").open("ab") as file:
            file.write(b'{"step": 6, "note": "\xc3')  # cut inside a letter
