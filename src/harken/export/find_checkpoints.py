"""Finds the two checkpoints of an export: the trained one, and the base that its training started from."""

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from harken.config import load_run_recipe
from harken.errors import CheckpointError
from harken.models.architectures import resolve_checkpoint
from harken.models.lora import is_adapter


def run_folder_of(path: Path) -> Path | None:
    """The run folder that `path` is, or whose checkpoint it is; None where it is neither."""
    for run in (path, path.parent.parent):
        if (run / "config.yaml").is_file() and (run == path or path.parent.name == "checkpoints"):
            return run
    return None


def trained_checkpoint(trained: Path) -> Path:
    """The checkpoint itself, or the newest one of a run folder. Raises CheckpointError where there is none."""
    folder = Path(resolve_checkpoint(str(trained)))
    if not (folder / "config.json").is_file() and not is_adapter(folder):
        raise CheckpointError(f"{trained}: no checkpoint here; give a run folder or one of its checkpoints")
    return folder


def starting_checkpoint(trained: Path) -> str:
    """Folder or Hub id of the checkpoint that training started from.

    A run may start from a checkpoint of an earlier run; the base is the first `model.path` that no run wrote.

    Raises CheckpointError where `trained` is not part of a run folder.
    """
    if run_folder_of(trained) is None:
        raise CheckpointError(
            f"{trained}: is not part of a run folder, so its starting checkpoint is unknown; name it with --base"
        )
    path = str(trained)
    while (run := run_folder_of(Path(path))) is not None:
        path = load_run_recipe(run).model.path
    return path


def local_folder(base: str) -> Path:
    """The base's folder on this machine. A Hub id is downloaded where it is not on this machine yet.

    Raises CheckpointError where the folder does not exist, or the Hub id cannot be read.
    """
    folder = Path(base)
    if folder.is_dir():
        return Path(resolve_checkpoint(base))
    if folder.is_absolute() or base.startswith(".") or base.count("/") > 1:
        raise CheckpointError(f"{base}: no such folder, but the run started from it; give its new place with --base")
    try:
        return Path(snapshot_download(base, ignore_patterns=["consolidated*"]))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise CheckpointError(f"{base}: neither a local folder nor a Hub id that can be read ({error})") from error
