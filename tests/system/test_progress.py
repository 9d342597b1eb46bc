"""Progress without a terminal: plain lines with rate and time left."""

import io
import time

from rich.console import Console

from harken.system.progress import StepProgress, progress_bar


def test_rate_and_time_left_count_from_where_an_earlier_command_stopped(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    out = io.StringIO()
    progress = StepProgress(Console(file=out, width=80), "evaluate", 0, 10)
    now[0] = 160.0  # a model is loaded
    progress.update(600, 1000)
    now[0] = 170.0
    progress.update(650, 1000)
    assert out.getvalue() == "evaluate 600/1,000\nevaluate 650/1,000  5.00/s  70 s left\n"


def test_a_slow_step_is_shown_after_half_a_minute(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    out = io.StringIO()
    with StepProgress(Console(file=out, width=80), "clips", 9, 1000) as progress:
        for _ in range(3):
            now[0] += 20
            progress.advance({})
    assert out.getvalue() == "clips 0/9\nclips 2/9  0.05/s  2 min left\n"


def test_the_bar_fits_every_width_and_says_count_and_time_left(monkeypatch):
    for columns in (20, 40, 60, 80, 120):
        line = progress_bar("checking clips", 1000, 4000, 10, 30, columns, "100.00/s").plain
        assert line.startswith("checking clips 1,000/4,000")
        assert len(line) <= columns or columns < 48
        assert "10 s gone, 30 s left" in line
    assert "100.00/s" in line
