"""A checkpoint of a run -> a folder that other programs load as they load the model it started from.

Takes the trained weights and the base checkpoint, gives the base's own files with the trained tensors in place of its
own: same file names, same tensor names, same shards, same data type; tokenizer, chat template, processor and
generation config are the base's bytes. For Qwen2.5-Omni that is the full checkpoint with the talker untouched, where
the base is full. Not taken: loading the whole model and saving it again, which needs its memory and lets a library
decide on names and files.
"""

import shutil
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from harken.errors import CheckpointError
from harken.files import replacing

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def export(trained: Path, base: str, out: Path, dtype: str | None = None) -> int:
    """Write the base checkpoint with the trained tensors put in. Returns how many tensors were replaced.

    Args:
        trained: checkpoint folder with full weights.
        base: folder or Hub id of the checkpoint the run started from.
        dtype: of the replaced tensors; None = the base's own. Rounding to bfloat16 is a rounding of what was trained.

    Raises CheckpointError where a trained tensor has no place of its shape in the base, or `out` exists.
    """
    if out.exists():
        raise CheckpointError(f"{out}: exists already; choose another --out")
    source = _local(base)
    shards = sorted(source.glob("*.safetensors"))
    if not shards:
        raise CheckpointError(f"{base}: no safetensors files to put the trained weights into")
    places = _Tensors(trained)
    replaced: set[str] = set()
    with replacing(out) as temporary:
        temporary.mkdir(parents=True)
        for file in sorted(source.iterdir()):
            if file in shards:
                replaced |= _write_shard(file, temporary / file.name, places, dtype)
            elif file.is_file():
                shutil.copyfile(file, temporary / file.name)
        missing = places.names - replaced
        if missing:
            raise CheckpointError(
                f"{base}: has no place for {len(missing)} trained tensors ({', '.join(sorted(missing)[:3])}); "
                "is it the checkpoint that the run started from?"
            )
    return len(replaced)


class _Tensors:
    """The trained tensors by name, read one at a time."""

    def __init__(self, folder: Path) -> None:
        self._file_of = {}
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, framework="pt") as opened:
                self._file_of |= dict.fromkeys(opened.keys(), file)
        if not self._file_of:
            raise CheckpointError(f"{folder}: no weights here")
        self.names = set(self._file_of)

    def find(self, base_name: str) -> str | None:
        """The trained tensor for a tensor of the base; a full Omni checkpoint puts `thinker.` before its names."""
        for name in (base_name, base_name.removeprefix("thinker.")):
            if name in self.names:
                return name
        return None

    def read(self, name: str) -> Tensor:
        with safe_open(self._file_of[name], framework="pt") as opened:
            return opened.get_tensor(name)


def _write_shard(file: Path, target: Path, trained: _Tensors, dtype: str | None) -> set[str]:
    """Copy one shard with the trained tensors in place; returns the trained names used."""
    tensors, used = {}, set()
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
        for base_name in opened.keys():  # noqa: SIM118 (not a mapping)
            tensor = opened.get_tensor(base_name)
            name = trained.find(base_name)
            if name is not None:
                new = trained.read(name)
                if new.shape != tensor.shape:
                    raise CheckpointError(f"{file}: {base_name} has shape {[*tensor.shape]}, trained {[*new.shape]}")
                tensor = new.to(tensor.dtype if dtype is None else DTYPES[dtype]).contiguous()
                used.add(name)
            tensors[base_name] = tensor
    save_file(tensors, target, metadata=metadata)
    return used


def _local(base: str) -> Path:
    return Path(base) if Path(base).is_dir() else Path(snapshot_download(base))
