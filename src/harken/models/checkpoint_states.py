"""Binds a run or an evaluation to the checkpoint that it starts from, by what its files hold and not by their place."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from harken.config.differences import mapping_differences
from harken.errors import CheckpointError
from harken.models.architectures import resolve_checkpoint
from harken.system.file_states import file_state, is_same_file

_SMALL = 1 << 24
"""Files below so many bytes are always hashed: configs, tokenizers, and the weights of tiny models."""


def checkpoint_state(path: str, *, hashed: bool) -> dict[str, Any]:
    """The place and the state of each file of a checkpoint's folder; of a Hub id its commit.

    Args:
        hashed: also hash weights. Without it, files of 16 MiB and more have their size and time of change.

    Raises CheckpointError for a name that is neither a folder nor a Hub id.
    """
    folder = Path(resolve_checkpoint(path))
    if folder.is_dir():
        files = sorted(file for file in folder.iterdir() if file.is_file() and not _says_nothing(file.name))
        states = {file.name: file_state(file, hashed=hashed or file.stat().st_size < _SMALL) for file in files}
        return {"checkpoint": str(folder.resolve()), "files": states}
    try:
        cached = try_to_load_from_cache(path, "config.json")
    except HFValidationError as error:
        raise CheckpointError(
            f"{path}: no such folder, and no Hub id; restore the folder, or say where it is"
        ) from error
    return {"checkpoint": path, "commit": Path(cached).parent.name if isinstance(cached, str) else None}


def checkpoint_differences(stored: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """`base checkpoint NAME: changed` for each file that is new, gone or changed; the place of the same files counts
    for nothing."""
    before, now = stored.get("files"), current.get("files")
    if not isinstance(before, dict) or not isinstance(now, dict):
        return mapping_differences("base checkpoint:", stored, current, show=True)
    folder = Path(current["checkpoint"])
    same = {name for name in before.keys() & now.keys() if is_same_file(before[name], now[name], folder / name)}
    states = ({name: state for name, state in files.items() if name not in same} for files in (before, now))
    return mapping_differences("base checkpoint", *states)


def _says_nothing(name: str) -> bool:
    return name.startswith(".") or name.endswith(".md")
