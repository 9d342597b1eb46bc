"""Writes trained weights as a folder that other programs load as they load the base model.

The folder holds the base's own files with the trained tensors in place of the base's: the same file names, shards and
data type, and the tensor names of the layout (`omni_layout.py`). Tokenizer, chat template, processor and generation
config are copied. An adapter is merged into the base first; `adapters.py` writes it by itself. Shards are rewritten one
at a time, so only merging needs memory for the whole model.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from harken.errors import CheckpointError
from harken.export.find_checkpoints import local_folder, starting_checkpoint, trained_checkpoint
from harken.export.omni_layout import PREFIX, Layout, OmniLayout
from harken.export.rounding import RoundingLoss
from harken.export.tied_head import state_tied_head
from harken.export.written_folder import copy_other_files, new_folder, write_card
from harken.models.checkpoint_json import read_checkpoint_json
from harken.models.loading import DTYPES, load_model
from harken.models.lora import is_adapter
from harken.models.precision import open_weights, state_dtype
from harken.models.weight_files import weight_files
from harken.system.files import write_json

INDEX = "model.safetensors.index.json"
OTHER_PARTS = ("talker.", "token2wav.", "code2wav.", "visual.", "thinker.visual.")
"""Parts of a full Omni checkpoint that harken never loads. They are copied from the base."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The number of trained tensors in an export, and what rounding them lost."""

    n_tensors: int
    rounding: RoundingLoss


def export(
    trained: Path, out: Path, *, base: str | None = None, dtype: str | None = None, layout: Layout = "full"
) -> Exported:
    """Write the base checkpoint with the trained tensors in it. Returns what was written.

    Args:
        trained: a run folder (its newest checkpoint is used) or a checkpoint folder.
        base: folder or Hub id; None = the checkpoint that the run, or the runs before it, started from.
        dtype: data type of the trained tensors; None = that of the base's tensors. bfloat16 and float16 round them.
        layout: how an Omni model is written (`omni_layout.py`).

    Raises CheckpointError where trained checkpoint and base do not have the same tensors, where one of them is missing
    or damaged, where the architecture does not have the layout, and where `out` exists or cannot be written.
    """
    with new_folder(out) as folder, _full_weights(trained_checkpoint(trained)) as weights:
        base = base or starting_checkpoint(trained)
        source = local_folder(base)
        omni = OmniLayout(source, layout)
        tensors = _TrainedTensors(weights)
        shards = _shards(source)
        written = _Written()
        for shard in shards:
            _write_shard(shard, folder / shard.name, tensors, omni, dtype, written)
        if missing := tensors.names - written.used:
            raise CheckpointError(
                f"{source}: has no place for {len(missing)} trained tensors ({', '.join(sorted(missing)[:3])}). Is it "
                "the checkpoint that the run started from? If not, name that one with --base"
            )
        copy_other_files(source, folder, shards)
        omni.finish(folder)
        if dtype is not None:
            state_dtype(folder, dtype)
        state_tied_head(folder)
        if dtype is not None or omni.changes_names:
            _mend_index(folder / INDEX, written)
        write_card(folder, trained, base, source, adapter=False)
    return Exported(len(written.used), written.rounding)


@dataclass(slots=True)
class _Written:
    """The tensors in the shards of an export.

    Attributes:
        used: names of the trained tensors in them.
        shard_of: written name of a tensor -> file name of its shard.
        total_bytes: of all tensors.
    """

    used: set[str] = field(default_factory=set)
    shard_of: dict[str, str] = field(default_factory=dict)
    total_bytes: int = 0
    rounding: RoundingLoss = field(default_factory=RoundingLoss)


def _mend_index(file: Path, written: _Written) -> None:
    """Make the index, where there is one, that of the written shards."""
    if file.exists():
        index = read_checkpoint_json(file)
        index["weight_map"] = dict(sorted(written.shard_of.items()))
        write_json(file, {**index, "metadata": {**_section(index, "metadata"), "total_size": written.total_bytes}})


@contextlib.contextmanager
def _full_weights(folder: Path) -> Iterator[Path]:
    """The checkpoint itself; for an adapter a temporary folder with the merged weights."""
    if not is_adapter(folder):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="harken-merged-") as merged:
        load_model(str(folder), device="cpu").save(Path(merged))
        yield Path(merged)


class _TrainedTensors:
    """The trained tensors by name, without the prefix of a full Omni checkpoint. They are read one at a time."""

    def __init__(self, folder: Path) -> None:
        self._stored: dict[str, tuple[Path, str]] = {}
        for file in weight_files(folder):
            with open_weights(file) as opened:
                self._stored |= {name.removeprefix(PREFIX): (file, name) for name in opened.keys()}  # noqa: SIM118
        if not self._stored:
            raise CheckpointError(f"{folder}: no weights here")

    @property
    def names(self) -> set[str]:
        return set(self._stored)

    def name_of(self, base_name: str) -> str | None:
        """The name of the trained tensor that replaces a tensor of the base; None where it was not trained."""
        name = base_name.removeprefix(PREFIX)
        return name if name in self._stored else None

    def read(self, name: str) -> Tensor:
        file, stored_name = self._stored[name]
        with open_weights(file) as opened:
            return opened.get_tensor(stored_name)


def _write_shard(
    file: Path, target: Path, trained: _TrainedTensors, layout: OmniLayout, dtype: str | None, written: _Written
) -> None:
    """Write one shard with the trained tensors in it, and add it to `written`. A shard without tensors is left out."""
    tensors: dict[str, Tensor] = {}
    with open_weights(file) as opened:
        metadata = opened.metadata()
        for base_name in opened.keys():  # noqa: SIM118 (not a mapping)
            written_name = layout.written_name(base_name)
            if written_name is None:
                continue
            tensor = opened.get_tensor(base_name)
            name = trained.name_of(base_name)
            if name is not None:
                new = trained.read(name)
                if new.shape != tensor.shape:
                    raise CheckpointError(
                        f"{file}: {base_name} has shape {[*tensor.shape]}, but the trained tensor {[*new.shape]}. "
                        f"{_WRONG_BASE}"
                    )
                rounded = new.to(tensor.dtype if dtype is None else DTYPES[dtype]).contiguous()
                written.rounding.add(tensor, new, rounded)
                tensor = rounded
                written.used.add(name)
            elif not base_name.startswith(OTHER_PARTS):
                raise CheckpointError(f"{file}: {base_name} is not among the trained tensors. {_WRONG_BASE}")
            tensors[written_name] = tensor
    if tensors:
        save_file(tensors, target, metadata=metadata)
    written.shard_of |= dict.fromkeys(tensors, target.name)
    written.total_bytes += sum(tensor.nbytes for tensor in tensors.values())


_WRONG_BASE = "Is it the checkpoint that the run started from?"


def _shards(source: Path) -> list[Path]:
    """The weight files of the base. Raises CheckpointError where one is missing, or where there is none."""
    shards = weight_files(source)
    index = source / INDEX
    named = list(_section(read_checkpoint_json(index), "weight_map").values()) if index.is_file() else []
    if not all(isinstance(name, str) for name in named):
        raise CheckpointError(f"{index}: weight_map names something that is no file; download the base again")
    absent = sorted({*named, *(shard.name for shard in shards)} - {shard.name for shard in shards if shard.is_file()})
    if absent:
        raise CheckpointError(f"{source}: {', '.join(absent)} not here; download the base again")
    if not shards:
        raise CheckpointError(
            f"{source}: no safetensors files to put the trained weights into; convert the base, or give another --base"
        )
    return shards


def _section(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    section = values.get(key)
    return section if isinstance(section, dict) else {}
