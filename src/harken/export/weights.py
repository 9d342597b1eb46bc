"""Writes trained weights as a folder that other programs load as they load the base model.

The folder holds the base's own files with the trained tensors in place of the base's: the same file names, tensor
names, shards and data type. Tokenizer, chat template, processor and generation config are copied byte for byte. An
adapter is merged into the base first, or copied as it is by `export_adapter`. Shards are rewritten one at a time, so
only merging needs memory for the whole model.
"""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from harken.errors import CheckpointError
from harken.export.card_header import MODEL_CARD
from harken.export.find_checkpoints import local_folder, run_folder_of, starting_checkpoint, trained_checkpoint
from harken.export.model_card import model_card
from harken.export.rounding import RoundingLoss
from harken.export.tied_head import state_tied_head
from harken.models.loading import DTYPES, adapter_base, load_model
from harken.models.lora import is_adapter
from harken.models.precision import state_dtype
from harken.system.files import replacing, write_json, write_text

BASE_CARD = "README.base.md"
"""Where the base's own model card is kept."""
INDEX = "model.safetensors.index.json"
FULL_PREFIX = "thinker."
"""A full Omni checkpoint has this before the tensor names of the part that harken trains."""
OTHER_PARTS = ("talker.", "token2wav.", "visual.", "thinker.visual.")
"""Parts of a full Omni checkpoint that harken never loads. They are copied from the base."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The number of trained tensors in an export, and what rounding them lost."""

    n_tensors: int
    rounding: RoundingLoss


def export(trained: Path, out: Path, *, base: str | None = None, dtype: str | None = None) -> Exported:
    """Write the base checkpoint with the trained tensors in it. Returns what was written.

    Args:
        trained: a run folder (its newest checkpoint is used) or a checkpoint folder.
        base: folder or Hub id; None = the checkpoint that the run, or the runs before it, started from.
        dtype: data type of the trained tensors; None = that of the base's tensors. bfloat16 and float16 round them.

    Raises CheckpointError where trained checkpoint and base do not have the same tensors, where one of them is missing
    or damaged, and where `out` exists or cannot be written.
    """
    with _new_folder(out) as folder, _full_weights(trained_checkpoint(trained)) as weights:
        base = base or starting_checkpoint(trained)
        source = local_folder(base)
        tensors = _TrainedTensors(weights)
        shards = _shards(source)
        used: set[str] = set()
        total_bytes = 0
        rounding = RoundingLoss()
        for shard in shards:
            used_here, size = _write_shard(shard, folder / shard.name, tensors, dtype, rounding)
            used |= used_here
            total_bytes += size
        if missing := tensors.names - used:
            raise CheckpointError(
                f"{source}: has no place for {len(missing)} trained tensors ({', '.join(sorted(missing)[:3])}). Is it "
                "the checkpoint that the run started from? If not, name that one with --base"
            )
        _copy_other_files(source, folder, shards)
        if dtype is not None:
            state_dtype(folder, dtype)
        state_tied_head(folder)
        if dtype is not None and (folder / INDEX).exists():
            index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
            index.setdefault("metadata", {})["total_size"] = total_bytes
            write_json(folder / INDEX, index)
        _write_card(folder, trained, base, source, adapter=False)
    return Exported(len(used), rounding)


def export_adapter(trained: Path, out: Path) -> None:
    """Copy a LoRA adapter with tokenizer and chat template, for programs that load it onto its base themselves.

    Raises CheckpointError where `trained` is not an adapter, or `out` exists or cannot be written.
    """
    with _new_folder(out) as folder:
        adapter = trained_checkpoint(trained)
        if not is_adapter(adapter):
            raise CheckpointError(f"{adapter}: holds full weights and no adapter; export without --adapter")
        _copy_other_files(adapter, folder, [])
        base = adapter_base(adapter)
        _write_card(folder, trained, base, local_folder(base), adapter=True)


@contextlib.contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A temporary folder that becomes `out` when the block ends without an error."""
    if out.exists():
        raise CheckpointError(f"{out}: exists already; choose another --out")
    try:
        with replacing(out) as folder:
            folder.mkdir()
            yield folder
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{out}: cannot be written ({error})") from error


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
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, framework="pt") as opened:
                self._stored |= {name.removeprefix(FULL_PREFIX): (file, name) for name in opened.keys()}  # noqa: SIM118
        if not self._stored:
            raise CheckpointError(f"{folder}: no weights here")

    @property
    def names(self) -> set[str]:
        return set(self._stored)

    def name_of(self, base_name: str) -> str | None:
        """The name of the trained tensor that replaces a tensor of the base; None where it was not trained."""
        name = base_name.removeprefix(FULL_PREFIX)
        return name if name in self._stored else None

    def read(self, name: str) -> Tensor:
        file, stored_name = self._stored[name]
        with safe_open(file, framework="pt") as opened:
            return opened.get_tensor(stored_name)


def _write_shard(
    file: Path, target: Path, trained: _TrainedTensors, dtype: str | None, rounding: RoundingLoss
) -> tuple[set[str], int]:
    """Write one shard with the trained tensors in it.

    Returns the names of the trained tensors used, and the bytes of all tensors.
    """
    tensors, used = {}, set()
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
        for base_name in opened.keys():  # noqa: SIM118 (not a mapping)
            tensor = opened.get_tensor(base_name)
            name = trained.name_of(base_name)
            if name is not None:
                new = trained.read(name)
                if new.shape != tensor.shape:
                    raise CheckpointError(
                        f"{file}: {base_name} has shape {[*tensor.shape]}, but the trained tensor {[*new.shape]}. "
                        f"{_WRONG_BASE}"
                    )
                written = new.to(tensor.dtype if dtype is None else DTYPES[dtype]).contiguous()
                rounding.add(tensor, new, written)
                tensor = written
                used.add(name)
            elif not base_name.startswith(OTHER_PARTS):
                raise CheckpointError(f"{file}: {base_name} is not among the trained tensors. {_WRONG_BASE}")
            tensors[base_name] = tensor
    save_file(tensors, target, metadata=metadata)
    return used, sum(tensor.nbytes for tensor in tensors.values())


_WRONG_BASE = "Is it the checkpoint that the run started from?"


def _shards(source: Path) -> list[Path]:
    """The weight files of the base. Raises CheckpointError where one is missing, or where there is none."""
    shards = sorted(source.glob("*.safetensors"))
    index = source / INDEX
    named = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values() if index.is_file() else ()
    absent = sorted({*named, *(shard.name for shard in shards)} - {shard.name for shard in shards if shard.is_file()})
    if absent:
        raise CheckpointError(f"{source}: {', '.join(absent)} not here; download the base again")
    if not shards:
        raise CheckpointError(
            f"{source}: no safetensors files to put the trained weights into; convert the base, or give another --base"
        )
    return shards


def _copy_other_files(source: Path, target: Path, shards: list[Path]) -> None:
    """Copy everything except the shards; links become the files that they point to.

    The state of the trainer and hidden files (.git, .cache) are left out, and so are copies of the weights in other
    formats, which would hold the untrained weights.
    """

    def left_out(folder: str, names: list[str]) -> list[str]:
        top = Path(folder) == source
        return [
            name
            for name in names
            if name.startswith((".", "pytorch_model", "tf_model", "flax_model"))
            or (top and (source / name in shards or name == "trainer"))
        ]

    shutil.copytree(source, target, dirs_exist_ok=True, copy_function=shutil.copyfile, ignore=left_out)


def _write_card(folder: Path, trained: Path, base: str, source: Path, *, adapter: bool) -> None:
    """Write the model card. A card that came with the base is kept beside it."""
    if (folder / MODEL_CARD).exists():
        (folder / MODEL_CARD).rename(folder / BASE_CARD)
    model_type = json.loads((source / "config.json").read_text(encoding="utf-8"))["model_type"]
    card = model_card(run_folder_of(trained), base, source, model_type=model_type, adapter=adapter)
    write_text(folder / MODEL_CARD, card)
