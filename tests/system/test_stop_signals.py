"""What SIGTERM and Ctrl-C do to a command, at once and inside a training loop."""

import os
import signal
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

from harken.errors import StoppedError
from harken.judges.step_verdicts import wait_for_verdicts
from harken.system import stop_signals
from harken.system.stop_signals import (
    abandon_if_stopping,
    abandonable,
    defer_stop,
    stop_requested,
)
from harken.system.writer_lock import one_writer


def send(number):
    os.kill(os.getpid(), number)


def stopped(work) -> str:
    """Run work inside `defer_stop`, which has to end in StoppedError. Returns its message."""
    with pytest.raises(StoppedError) as stop, defer_stop():
        work()
    return stop.value.message


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "Ctrl-C")])
def test_a_command_stops_at_once_with_its_own_exit_code_and_the_handlers_before_come_back(number, name):
    before = signal.getsignal(number)
    with pytest.raises(StoppedError, match="75") as stop, stop_signals.stop_signals():
        send(number)
    assert (stop.value.code, stop.value.message) == (75, f"stopped by {name}")
    assert signal.getsignal(number) == before
    assert not isinstance(stop.value, Exception)


def test_a_loop_stops_where_it_looks_and_what_changes_nothing_is_left(capfd):
    seen = []

    def loop():
        for number in range(5):
            with abandonable():
                abandon_if_stopping()
                seen.append(number)
            if number == 2:
                send(signal.SIGTERM)
                send(signal.SIGTERM)  # a launcher and a scheduler may both send it
                abandon_if_stopping()  # outside the block it does nothing
                assert stop_requested() == "SIGTERM"

    assert stopped(loop) == "stopped by SIGTERM"  # of the block's end, where nobody else has acted on it
    assert seen == [0, 1, 2]
    assert stop_requested() is None
    assert capfd.readouterr().err.count("SIGTERM: the run stops at the next safe point and writes a checkpoint") == 1


def test_a_second_ctrl_c_does_not_wait_for_the_safe_point():
    def work():
        send(signal.SIGINT)
        assert stop_requested() == "Ctrl-C"
        send(signal.SIGINT)
        raise AssertionError

    assert stopped(work) == "stopped by Ctrl-C at once"


def test_sigterm_while_a_command_is_stopping_does_not_disturb_what_it_closes():
    closed = []

    def work():
        try:
            send(signal.SIGTERM)
        finally:
            send(signal.SIGTERM)
            closed.append(True)

    with pytest.raises(StoppedError), stop_signals.stop_signals():
        work()
    assert closed == [True]


def test_other_ranks_leave_the_notice_to_the_first(capfd, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(StoppedError), defer_stop():
        send(signal.SIGTERM)
    assert capfd.readouterr().err == ""


def test_a_thread_runs_a_loop_without_handlers():
    results = []

    def work():
        with defer_stop():
            results.append(stop_requested())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [None]


def test_a_writer_that_is_stopped_says_that_the_same_command_goes_on(tmp_path):
    @one_writer
    def write(out: Path) -> None:
        send(signal.SIGTERM)

    with pytest.raises(StoppedError) as stop, stop_signals.stop_signals():
        write(out=tmp_path)
    sentence = "stopped by SIGTERM. Finished work is kept, and the same command goes on from there"
    assert stop.value.message == sentence
    stop.value.advise("something of an outer block")
    assert stop.value.message == sentence
    assert list(tmp_path.iterdir()) == []  # the lock is gone


def test_waiting_for_a_judge_ends_when_the_run_is_to_stop():
    never: Future = Future()

    def work():
        send(signal.SIGTERM)
        wait_for_verdicts([[{"quality": never}]])

    assert stopped(work) == "stopped by SIGTERM"
    wait_for_verdicts([[{"quality": never}]], deadline=0.0)
    never.set_result(None)
    wait_for_verdicts([[{"quality": never}], [{}]])
