"""Reads single files of a run folder: JSON, YAML and JSON lines.

Training may be writing into the folder meanwhile, so an unfinished last line is left for the next reading. A link that
leads out of the folder is refused, because a run folder may come from somebody else.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from harken.errors import DataError
from harken.system.json_lines import read_json_lines

JsonObject = Mapping[str, Any]


def read_json(file: Path, folder: Path) -> JsonObject:
    """Read a JSON object from a file in `folder`. Raises DataError where it is missing, damaged or leads out."""
    try:
        value = json.loads(_checked(file, folder).read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: not JSON; restore the file") from error
    return _mapping(value, file)


def read_yaml(file: Path, folder: Path) -> JsonObject:
    """Read a YAML mapping from a file in `folder`. Raises DataError where it is missing, damaged or leads out."""
    try:
        value = yaml.safe_load(_checked(file, folder).read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{file}: not YAML; restore the file") from error
    return _mapping(value, file)


def read_rows(file: Path, folder: Path) -> Sequence[JsonObject]:
    """Read the finished lines of a file of JSON lines in `folder`. An unchanged file is parsed only once.

    Raises DataError where the file is missing or leads out, or where a line is not a JSON object.
    """
    status = _checked(file, folder).stat()
    return _rows(file, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=4096)
def _rows(file: Path, mtime_ns: int, size: int) -> Sequence[JsonObject]:
    return read_json_lines(file)


def _mapping(value: Any, file: Path) -> JsonObject:
    if not isinstance(value, dict):
        raise DataError(f"{file}: expected a mapping of keys, found {type(value).__name__}; restore the file")
    return value


def _checked(file: Path, folder: Path) -> Path:
    if not file.resolve().is_relative_to(folder):
        raise DataError(f"{file}: is a link that leads out of {folder}; copy the file there")
    if not file.is_file():
        raise DataError(f"{file}: no such file; the run folder is incomplete")
    return file
