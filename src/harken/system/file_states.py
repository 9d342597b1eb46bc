"""What is recorded of a file, to tell later whether it is the same: size, time of change and, on demand, SHA-256.

Hashing every clip of a large set or every weight of a checkpoint takes minutes, so files are bound by size and time
unless a hash is asked for. A file whose time differs, as that of a copy does, is the same if its recorded hash is.
"""

import hashlib
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from harken.errors import DataError

FileState = MutableMapping[str, Any]
"""{size, mtime_ns} and, where it was computed, sha256."""


def file_state(file: Path, *, hashed: bool) -> FileState:
    """Raises DataError where the file cannot be read."""
    try:
        stat = file.stat()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from error
    state: FileState = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    return state | {"sha256": sha256_of(file)} if hashed else state


def is_same_file(before: Mapping[str, Any], now: FileState, file: Path) -> bool:
    """Whether a file is the one that was recorded. What is known of its hash then stands in `now` too.

    Args:
        before: the record; a record without a time is compared by its hash alone.
        now: the state of `file`.
    """
    if before.get("size") != now["size"]:
        return False
    hash_before, same_time = before.get("sha256"), before.get("mtime_ns") == now["mtime_ns"]
    if hash_before is None:
        return same_time
    if "sha256" not in now:
        now["sha256"] = hash_before if same_time else sha256_of(file)
    return now["sha256"] == hash_before


def sha256_of(file: Path) -> str:
    """Raises DataError where the file cannot be read."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from error
