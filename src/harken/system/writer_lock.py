"""Allows one process at a time to write into a folder or append to a file.

A lock is a file `.lock` in the folder (`.NAME.lock` beside a file) with the process, the host and the time. The process
holds a lock of the operating system on that file, so the lock ends with the process, however it ends: what kill -9
leaves is recognised and taken over on the same host. A lock that names another host is never taken over, because a
network file system may not pass locks on. Where a file system has no locks at all, the file alone is the lock: it is
taken over when no process of this host has its number.
"""

import contextlib
import errno
import fcntl
import functools
import inspect
import json
import os
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from harken.errors import InUseError, StoppedError

P = ParamSpec("P")
T = TypeVar("T")

LOCK_NAME = ".lock"
SETTLE_S = 0.2
"""Longer than a process takes from reading the lock file to writing it; for file systems without locks."""
WRITTEN_S = 2.0
"""Within so many seconds a process has written its name into a file that it has locked, also on a busy machine."""
_NOT_SUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_held: set[Path] = set()
"""The lock files that this process holds: the operating system would give it the same lock twice."""


def one_writer(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function that writes into the folder of its argument `out`: it raises InUseError while another
    process, or another call in this one, writes there. If it is stopped, the same call has to go on with what is there,
    and the error says so."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with WriterLock.of_folder(signature.bind(*args, **kwargs).arguments["out"]):
            try:
                return function(*args, **kwargs)
            except StoppedError as stopped:
                stopped.advise("Finished work is kept, and the same command goes on from there")
                raise

    return run


class WriterLock:
    """The lock of one folder or file. Use it as a context manager, or call `acquire` and `release`."""

    def __init__(self, target: Path, file: Path) -> None:
        """`target` is what errors name."""
        self._target, self._file = target, file
        self._descriptor: int | None = None
        self._pid = 0
        self._created: list[Path] = []

    @classmethod
    def of_folder(cls, folder: Path) -> "WriterLock":
        return cls(folder, folder / LOCK_NAME)

    @classmethod
    def of_file(cls, file: Path) -> "WriterLock":
        return cls(file, file.with_name(f".{file.name}{LOCK_NAME}"))

    def __enter__(self) -> "WriterLock":
        self.acquire()
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Create the folder where there is none, and lock it. Raises InUseError where another process holds it."""
        self._file = self._file.absolute()
        if self._file in _held:
            raise InUseError(f"{self._target}: in use by this process ({os.getpid()}) already; wait until it ends")
        while self._descriptor is None:
            self._created += _make_folders(self._file.parent)
            # The holder removes folder and file when it ends, perhaps between two of these calls: then begin again.
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
                try:
                    self._descriptor = self._try(descriptor)
                finally:
                    if self._descriptor is None:
                        os.close(descriptor)
        self._pid = os.getpid()
        _held.add(self._file)

    def release(self) -> None:
        """Remove the lock, and the folders that `acquire` created where they are still empty."""
        if self._descriptor is None or self._pid != os.getpid():  # a fork has the object but not the lock
            return
        self._file.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None
        _held.discard(self._file)
        for folder in reversed(self._created):
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()

    def _try(self, descriptor: int) -> int | None:
        """The descriptor once it is locked; None where the holder has just removed the file. Raises InUseError."""
        supported = True
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise self._in_use(_holder_that_locked(descriptor)) from error
            if error.errno not in _NOT_SUPPORTED:
                raise
            supported = False
        if os.fstat(descriptor).st_ino != self._file.stat().st_ino:
            return None
        holder = _read_holder(descriptor)
        if holder and (holder.get("host") != socket.gethostname() or not (supported or _is_dead(holder.get("pid")))):
            raise self._in_use(holder)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": started})
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)
        if not supported:  # another process may have read the file before this one wrote it: the last writer goes on
            time.sleep(SETTLE_S)
            if (holder := _read_holder(descriptor)).get("pid") != os.getpid():
                raise self._in_use(holder)
        return descriptor

    def _in_use(self, holder: dict[str, Any]) -> InUseError:
        host = holder.get("host", "this host")
        advice = "wait until it ends, or choose another folder"
        if host not in ("this host", socket.gethostname()):
            advice += f"; if that process is gone, remove {self._file}"
        return InUseError(
            f"{self._target}: in use by process {holder.get('pid', '(unknown)')} on {host} since "
            f"{holder.get('started', 'a moment ago')}; {advice}"
        )


def _make_folders(folder: Path) -> list[Path]:
    """Create a folder and its parents. Returns those that did not exist, the outermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()][::-1]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _read_holder(descriptor: int) -> dict[str, Any]:
    """The content of the lock file; {} where it is damaged, or empty because its process was killed before it wrote."""
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
    except (ValueError, RecursionError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _holder_that_locked(descriptor: int) -> dict[str, Any]:
    """The content of the lock file once the process that has just locked it has written its own; what is there after
    WRITTEN_S where it does not."""
    end = time.monotonic() + WRITTEN_S
    while True:
        holder = _read_holder(descriptor)
        is_old = not holder or (holder.get("host") == socket.gethostname() and _is_dead(holder.get("pid")))
        if not is_old or time.monotonic() > end:
            return holder
        time.sleep(0.01)


def _is_dead(pid: object) -> bool:
    """Whether no process of this host has the number."""
    try:
        os.kill(int(str(pid)), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return True
    except PermissionError:
        return False
    return False
