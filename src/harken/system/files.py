"""Writing files so that a reader never sees half of one.

Takes a path and its content, gives the file whole or not at all: written under a temporary name beside it, then
renamed.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TEMPORARY = ".tmp"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, for a file or a folder; renamed to `path` when the block ends without an error,
    removed when it ends with one.

    Raises FileExistsError where `path` is a folder that exists: folders are written once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    _remove(temporary)  # of a run that was killed
    try:
        yield temporary
        if path.is_dir():
            raise FileExistsError(f"{path}: exists already")
        os.replace(temporary, path)
    except BaseException:
        _remove(temporary)
        raise


def remove_folder(path: Path) -> None:
    """Remove a folder; a run killed on the way leaves no half of one under its name."""
    temporary = _temporary(path)
    _remove(temporary)
    os.replace(path, temporary)
    _remove(temporary)


def is_leftover(path: Path) -> bool:
    """Whether a name is one that `replacing` or `remove_folder` uses on the way."""
    return path.name.startswith(".") and path.name.endswith(TEMPORARY)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process left directly inside `folder`, which need not exist. Only for the folder's owner."""
    for path in folder.glob(f".*{TEMPORARY}"):
        _remove(path)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}{TEMPORARY}")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
