"""Writes files and folders so that a reader never sees half of one, and so that a power cut leaves none.

Everything is written under a temporary name in the same folder, flushed to the disk and then renamed. What a killed
process left under a temporary name is removed by the next one.
"""

import contextlib
import errno
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harken.errors import DataError

TEMPORARY = ".tmp"
_NOT_FLUSHABLE = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF)
"""Error numbers of file systems that cannot flush a folder."""

_SQLITE_ERRORS = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
}
"""Kind of an error of SQLite -> number of the operating system's error behind it."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path for a file or a folder. It is flushed to the disk and renamed to `path` when the block
    ends, and removed when the block raises.

    Raises OSError that names `path` where it cannot be written, FileExistsError when it is an existing folder: folders
    are written once.
    """
    temporary = _temporary(path)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_path(temporary)  # a killed run may have left it
        try:
            yield temporary
            if path.is_dir():
                raise FileExistsError(errno.EEXIST, "exists already", str(path))
            replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                remove_path(temporary)
            raise


def replace(temporary: Path, path: Path) -> None:
    """Flush a file or a whole folder to the disk, and give it its name. A power cut leaves what stood there before or
    what stands there now."""
    _flush(temporary)
    os.replace(temporary, path)
    _flush_entry(path.parent)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have an OSError of the block name `path`, the file that a user knows, and not a temporary one or none.

    Libraries written in Rust, SQLite and shutil's copies of folders raise errors of their own in the operating system's
    place; they become an OSError too.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            if error.filename is None or os.fsdecode(error.filename).startswith(str(_temporary(path))):
                error.filename, error.filename2 = str(path), None
            raise
        number = _error_number(error)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def _error_number(error: Exception) -> int | None:
    """The number of the operating system's error that a library's own error stands for; None where it has none."""
    if isinstance(error, sqlite3.Error):
        return _SQLITE_ERRORS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)  # the low byte is the kind
    pattern = r"\[Errno (\d+)\]" if isinstance(error, shutil.Error) else r"\(os error (\d+)\)"
    number = re.search(pattern, str(error))
    return int(number[1]) if number else None


def _flush(path: Path) -> None:
    """Write what the operating system still holds of a file, or of all files of a folder, to the disk."""
    if path.is_dir():
        for entry in path.iterdir():
            _flush(entry)
    _flush_entry(path)


def _flush_entry(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_FLUSHABLE:
            raise
    finally:
        os.close(descriptor)


def remove_folder(path: Path) -> None:
    """Rename a folder to a temporary name and remove it, so that a killed run leaves no half of it under its name."""
    temporary = _temporary(path)
    remove_path(temporary)
    os.replace(path, temporary)
    remove_path(temporary)


def is_leftover(path: Path) -> bool:
    """Whether the path has a temporary name, as `replacing` and `remove_folder` use."""
    return path.name.startswith(".") and path.name.endswith(TEMPORARY)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process left directly inside `folder`, if there is such a folder.

    Only the process that writes into the folder may call this.
    """
    for path in folder.glob(f".*{TEMPORARY}"):
        remove_path(path)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}{TEMPORARY}")


def remove_path(path: Path) -> None:
    """Remove a file or a folder, if there is one."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read_text(file: Path) -> str:
    """Raises DataError where the file is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8 at byte {error.start}; save it as UTF-8") from error


def write_text(path: Path, text: str) -> None:
    """Write a whole file. Half of a surrogate pair, which is no text, becomes `\\ud800`, which JSON reads back."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
