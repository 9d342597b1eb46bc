"""Reads the JSON files of a checkpoint, which other programs wrote: config.json, the index of shards, an adapter's."""

import re
from pathlib import Path
from typing import Any

from harken.errors import CheckpointError, DataError, file_error, short_repr
from harken.system.json_files import read_json
from harken.system.json_text import half_surrogate

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
"""Escapes of which each stands for half of a character."""


def read_checkpoint_json(file: Path, fix: str = "fetch the checkpoint again") -> dict[str, Any]:
    """The JSON object in the file. Raises CheckpointError that names it where it is missing or damaged."""
    try:
        return read_json(file, fix, constants=True)
    except DataError as error:
        raise CheckpointError(str(error)) from error
    except OSError as error:
        raise CheckpointError(f"{file_error(error)}") from error


def refuse_half_surrogates(folder: Path) -> None:
    """Raise CheckpointError for a JSON file of a checkpoint that holds half of a surrogate pair. transformers reads it,
    and would fail when it writes the file beside the trained weights."""
    for file in sorted(folder.glob("*.json")):
        try:
            escaped = _SURROGATE.search(file.read_bytes()) is not None
        except OSError as error:
            raise CheckpointError(f"{file_error(error)}") from error
        half = half_surrogate(read_checkpoint_json(file)) if escaped else None
        if half is not None:
            fault = f"holds half of a surrogate pair, which is not text: {short_repr(half)}"
            raise CheckpointError(f"{file}: {fault}; fetch the checkpoint again")
