"""Reads the JSON files of a checkpoint, which other programs wrote: config.json, the index of shards, an adapter's."""

from pathlib import Path
from typing import Any

from harken.errors import CheckpointError, DataError, file_error
from harken.system.json_files import read_json


def read_checkpoint_json(file: Path, fix: str = "fetch the checkpoint again") -> dict[str, Any]:
    """The JSON object in the file. Raises CheckpointError that names it where it is missing or damaged."""
    try:
        return read_json(file, fix, constants=True)
    except DataError as error:
        raise CheckpointError(str(error)) from error
    except OSError as error:
        raise CheckpointError(f"{file_error(error)}") from error
