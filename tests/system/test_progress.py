"""Progress without a terminal: plain lines with rate and time left."""

import io
import time

from rich.console import Console

from harken.system.progress import StepProgress


def test_rate_and_time_left_count_from_where_an_earlier_command_stopped(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    out = io.StringIO()
    progress = StepProgress(Console(file=out, width=80), "evaluate", 0, 10)
    now[0] = 160.0  # a model is loaded
    progress.update(600, 1000)
    now[0] = 170.0
    progress.update(650, 1000)
    assert out.getvalue() == "evaluate 650/1000  5.00/s  70 s left  \n"
