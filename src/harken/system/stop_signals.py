"""What SIGTERM and Ctrl-C do: a command ends with exit code 75 and one sentence that says how to go on.

Most commands have on disk what they have done, so they stop at once. A training loop has the steps since its last
checkpoint in memory. It runs inside `defer_stop`, where a signal only leaves a mark; the loop looks at the mark where
it can write a checkpoint (`stop_requested`). What a loop may throw away runs inside `abandonable`: there
`abandon_if_stopping` raises as soon as the mark is set.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from harken.errors import StoppedError

_NAMES = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}
_NOTICE = b"\n%s: the run stops at the next safe point and writes a checkpoint; Ctrl-C%s stops at once\n"


class WorkAbandonedError(BaseException):
    """A part of a step that changes nothing was left, because the run is to stop. It is no Exception, so that nothing
    takes it for a failure of the work."""


class _State:
    """Signal handlers belong to the process, and so does this.

    Attributes:
        deferred: whether a signal only leaves a mark.
        requested: the mark, the signal's name; None without one.
        abandonable: whether the work that runs may be thrown away.
        raised: whether the process is stopping already.
    """

    def __init__(self) -> None:
        self.deferred = self.abandonable = self.raised = False
        self.requested: str | None = None


_state = _State()


@contextlib.contextmanager
def stop_signals() -> Iterator[None]:
    """Within the block SIGTERM and Ctrl-C raise StoppedError, at once or, inside `defer_stop`, at the next safe point.

    Outside the main thread, which alone may set handlers, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _state.raised = False
    before = {number: signal.signal(number, _handle) for number in _NAMES}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def defer_stop() -> Iterator[None]:
    """Within the block a signal leaves a mark. At its end a mark that nobody has acted on raises StoppedError."""
    with stop_signals():
        _state.deferred, _state.requested = True, None
        try:
            yield
        finally:
            _state.deferred = False
        if _state.requested is not None:
            raise StoppedError(f"stopped by {_state.requested}")


@contextlib.contextmanager
def abandonable() -> Iterator[None]:
    """Within the block `abandon_if_stopping` may raise; the block ends as if nothing had happened then."""
    _state.abandonable = True
    try:
        with contextlib.suppress(WorkAbandonedError):
            yield
    finally:
        _state.abandonable = False


def abandon_if_stopping() -> None:
    """Leave the `abandonable` block around this call if the run is to stop."""
    if _state.abandonable and _state.requested is not None:
        raise WorkAbandonedError


def raise_if_stopping() -> None:
    """Raise WorkAbandonedError if the run is to stop. For work whose caller can throw away all that was done."""
    if stop_requested() is not None:
        raise WorkAbandonedError


def stop_requested() -> str | None:
    """The name of the signal that asks the run to stop at its next safe point; None without one."""
    return _state.requested if _state.deferred else None


def _handle(number: int, frame: FrameType | None) -> None:
    name = _NAMES[signal.Signals(number)]
    insists = number == signal.SIGINT and (_state.raised or _state.requested is not None)
    if _state.deferred and not insists:
        if _state.requested is None and os.environ.get("RANK", "0") == "0":
            # Not through the console: a handler may run in the middle of one of its writes.
            os.write(2, _NOTICE % (name.encode(), b" again" if number == signal.SIGINT else b""))
        _state.requested = name
        return
    if _state.raised and not insists:  # a launcher and a scheduler may both send SIGTERM
        return
    _state.raised = True
    raise StoppedError(f"stopped by {name}" + (" at once" if insists else ""))
