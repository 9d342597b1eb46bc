"""Writes files and folders so that a reader never sees half of one.

Everything is written under a temporary name in the same folder and then renamed. What a killed process left under a
temporary name is removed by the next one.
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
    """Give a temporary path for a file or a folder. It is renamed to `path` when the block ends, and removed when the
    block raises.

    Raises FileExistsError when `path` is an existing folder: folders are written once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    _remove(temporary)  # a killed run may have left it
    try:
        yield temporary
        if path.is_dir():
            raise FileExistsError(f"{path}: exists already")
        os.replace(temporary, path)
    except BaseException:
        _remove(temporary)
        raise


def remove_folder(path: Path) -> None:
    """Rename a folder to a temporary name and remove it, so that a killed run leaves no half of it under its name."""
    temporary = _temporary(path)
    _remove(temporary)
    os.replace(path, temporary)
    _remove(temporary)


def is_leftover(path: Path) -> bool:
    """Whether the path has a temporary name, as `replacing` and `remove_folder` use."""
    return path.name.startswith(".") and path.name.endswith(TEMPORARY)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process left directly inside `folder`, if there is such a folder.

    Only the process that writes into the folder may call this.
    """
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
