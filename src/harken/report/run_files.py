"""Reads single files of a run folder for pages: JSON, YAML and JSON lines, checked as `system/run_files.py` says.

Training may be writing into the folder meanwhile, so an unfinished last line is left for the next reading. A link that
leads out of the folder is refused, because a run folder may come from somebody else.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harken.config import read_mapping
from harken.errors import ConfigError, DataError
from harken.system import run_files
from harken.system.json_shapes import Shape

JsonObject = Mapping[str, Any]


def read_object(file: Path, folder: Path, shape: Shape) -> JsonObject:
    """Read a JSON object from a file in `folder`. Raises DataError where it is missing, damaged or leads out."""
    return run_files.read_object(_checked(file, folder), shape)


def read_yaml(file: Path, folder: Path) -> JsonObject:
    """Read a YAML mapping from a file in `folder`. Raises DataError where it is missing, damaged or leads out."""
    try:
        return read_mapping(_checked(file, folder))
    except ConfigError as error:
        raise DataError(f"{error}; restore the file") from error


def read_rows(file: Path, folder: Path, shape: Shape) -> Sequence[JsonObject]:
    """Read the finished lines of a file of JSON lines in `folder`. An unchanged file is parsed only once.

    Raises DataError where the file is missing or leads out, or where a line does not hold what it must.
    """
    status = _checked(file, folder).stat()
    return _rows(file, shape, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=4096)
def _rows(file: Path, shape: Shape, mtime_ns: int, size: int) -> Sequence[JsonObject]:
    return run_files.read_rows(file, shape)


def _checked(file: Path, folder: Path) -> Path:
    if not file.resolve().is_relative_to(folder):
        raise DataError(f"{file}: is a link that leads out of {folder}; copy the file there")
    if not file.is_file():
        raise DataError(f"{file}: no such file; the run folder is incomplete")
    return file
