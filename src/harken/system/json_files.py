"""Reads files that hold one JSON object, such as summary.json of an evaluation or config.json of a checkpoint."""

from pathlib import Path
from typing import Any

from harken.errors import DataError
from harken.system.json_shapes import ANY_OBJECT, Shape, check_shape
from harken.system.json_text import parse_json


def read_json(
    file: Path, fix: str = "restore the file", shape: Shape = ANY_OBJECT, *, constants: bool = False
) -> dict[str, Any]:
    """A JSON object.

    Args:
        constants: accept NaN and Infinity, for files of other programs.
        fix: what errors tell the user to do.
        shape: what the object must hold.

    Raises DataError where the file is damaged, and OSError where it cannot be read.
    """
    try:
        value = parse_json(file.read_bytes(), constants=constants)
    except ValueError as error:
        raise DataError(f"{file}: {error}; {fix}") from error
    return check_shape(value, shape, file, fix)
