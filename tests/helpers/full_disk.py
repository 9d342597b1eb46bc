"""Disks that fill up: a small tmpfs, and renames that fail from the n-th on."""

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class SmallDisk:
    """A tmpfs of some bytes at a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resize(self, size: int) -> None:
        """Raises CalledProcessError where the disk holds more."""
        _mount("-o", f"remount,rw,size={size}", str(self.folder))

    def make_read_only(self) -> None:
        _mount("-o", "remount,ro", str(self.folder))

    def used(self) -> int:
        return shutil.disk_usage(self.folder).used

    def empty(self) -> None:
        for entry in self.folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """A disk of 256 MiB at first. Skips the test where nothing can be mounted."""
    folder.mkdir()
    try:
        _mount("-t", "tmpfs", "-o", "size=256m", "tmpfs", str(folder))
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)


class FailingRenames:
    """Renames that fail from the n-th on, until `fixed`. Put `replace` in the place of `os.replace`."""

    def __init__(self, first: int, number: int = errno.ENOSPC) -> None:
        self.first, self.number = first, number
        self.calls, self.failed, self.fixed = 0, 0, False
        self._replace = os.replace

    def replace(self, source, target) -> None:
        self.calls += 1
        if self.calls >= self.first and not self.fixed:
            self.failed += 1
            raise OSError(self.number, os.strerror(self.number), str(source))
        self._replace(source, target)
