"""A checkpoint of a run -> a folder that other programs load as they load the model it started from.

Takes the trained weights and the base checkpoint, gives the base's own files with the trained tensors in place of its
own: same file names, same tensor names, same shards, same data type; tokenizer, chat template, processor and
generation config are the base's bytes. For Qwen2.5-Omni that is the full checkpoint with the talker untouched, where
the base is full. An adapter is merged first, or copied as it is by `export_adapter`. A model card is written beside
them (`model_card.py`). Not taken: loading the whole model
and saving it again, which needs its memory and lets a library decide on names and files.
"""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from harken.config import load_run_recipe
from harken.errors import CheckpointError
from harken.export.model_card import CARD, OF_BASE, model_card
from harken.models.loading import load_model, resolve_checkpoint
from harken.models.lora import ADAPTER_CONFIG, is_adapter
from harken.system.files import replacing, write_json, write_text

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
INDEX = "model.safetensors.index.json"
FULL_PREFIX = "thinker."
"""A full Omni checkpoint puts this before the names of the part that harken trains."""
OTHER_PARTS = ("talker.", "token2wav.", "visual.", "thinker.visual.")
"""Parts of a full Omni checkpoint that harken never loads."""


def export(trained: Path, out: Path, *, base: str | None = None, dtype: str | None = None) -> int:
    """Write the base checkpoint with the trained tensors put in. Returns how many tensors were put in.

    Args:
        trained: run folder (its newest checkpoint) or checkpoint folder.
        base: folder or Hub id; None = the checkpoint that the run started from, through earlier runs.
        dtype: of the trained tensors; None = the base's own. Rounding to bfloat16 is a rounding of what was trained.

    Raises CheckpointError where trained and base do not have the same tensors, where one of them is not there or
    damaged, and where `out` exists or cannot be written.
    """
    with _writing(out), _full_weights(_checkpoint(trained)) as folder, replacing(out) as temporary:
        source = _local(base or starting_checkpoint(trained))
        places = _Tensors(folder)
        temporary.mkdir()
        shards = _shards(source)
        replaced: set[str] = set()
        total_bytes = 0
        for shard in shards:
            used, size = _write_shard(shard, temporary / shard.name, places, dtype)
            replaced |= used
            total_bytes += size
        if missing := places.names - replaced:
            raise CheckpointError(
                f"{source}: has no place for {len(missing)} trained tensors ({', '.join(sorted(missing)[:3])}); "
                "is it the checkpoint that the run started from? If not, name that one as the base"
            )
        _copy_others(source, temporary, shards)
        if dtype is not None and (temporary / INDEX).exists():
            index = json.loads((temporary / INDEX).read_text(encoding="utf-8"))
            index.setdefault("metadata", {})["total_size"] = total_bytes
            write_json(temporary / INDEX, index)
        _write_card(temporary, trained, base or starting_checkpoint(trained), source, adapter=False)
    return len(replaced)


def export_adapter(trained: Path, out: Path) -> None:
    """Copy an adapter as it is, with tokenizer and chat template, for programs that put it on its base themselves.

    Raises CheckpointError where `trained` is no adapter, or `out` exists or cannot be written.
    """
    with _writing(out), replacing(out) as temporary:
        folder = _checkpoint(trained)
        if not is_adapter(folder):
            raise CheckpointError(f"{folder}: full weights, no adapter; export without --adapter")
        temporary.mkdir()
        _copy_others(folder, temporary, [])
        of_base = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"]
        _write_card(temporary, trained, of_base, _local(of_base), adapter=True)


def starting_checkpoint(trained: Path) -> str:
    """The first `model.path`, followed back through the run of a checkpoint and the runs before it, that no run wrote.

    Raises CheckpointError where `trained` lies in no run folder.
    """
    if _run_of(trained) is None:
        raise CheckpointError(f"{trained}: not in a run folder, so nothing says what it started from; give --base")
    path = str(trained)
    while (run := _run_of(Path(path))) is not None:
        path = load_run_recipe(run).model.path
    return path


def _write_card(folder: Path, trained: Path, base: str, source: Path, *, adapter: bool) -> None:
    """README.md; one that came from the base is kept beside it."""
    if (folder / CARD).exists():
        (folder / CARD).rename(folder / OF_BASE)
    model_type = json.loads((source / "config.json").read_text(encoding="utf-8"))["model_type"]
    card = model_card(_run_of(trained), base, source, model_type=model_type, adapter=adapter)
    write_text(folder / CARD, card)


def _run_of(path: Path) -> Path | None:
    """The run folder that `path` is, or is a checkpoint of."""
    for run in (path, path.parent.parent):
        if (run / "config.yaml").is_file() and (run == path or path.parent.name == "checkpoints"):
            return run
    return None


def _checkpoint(trained: Path) -> Path:
    folder = Path(resolve_checkpoint(str(trained)))
    if not (folder / "config.json").is_file() and not is_adapter(folder):
        raise CheckpointError(f"{trained}: no checkpoint here; give a run folder or one of its checkpoints")
    return folder


@contextlib.contextmanager
def _full_weights(folder: Path) -> Iterator[Path]:
    """The folder itself, or for an adapter one with the merged weights, removed afterwards."""
    if not is_adapter(folder):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="harken-merged-") as merged:
        load_model(str(folder), device="cpu").save(Path(merged))
        yield Path(merged)


class _Tensors:
    """The trained tensors by name without the full checkpoint's prefix, which a run that started from one keeps; read
    one at a time."""

    def __init__(self, folder: Path) -> None:
        self._place_of = {}
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, framework="pt") as opened:
                self._place_of |= {name.removeprefix(FULL_PREFIX): (file, name) for name in opened.keys()}  # noqa: SIM118
        if not self._place_of:
            raise CheckpointError(f"{folder}: no weights here")
        self.names = set(self._place_of)

    def find(self, base_name: str) -> str | None:
        """The trained tensor for a tensor of the base."""
        name = base_name.removeprefix(FULL_PREFIX)
        return name if name in self.names else None

    def read(self, name: str) -> Tensor:
        file, stored = self._place_of[name]
        with safe_open(file, framework="pt") as opened:
            return opened.get_tensor(stored)


def _write_shard(file: Path, target: Path, trained: _Tensors, dtype: str | None) -> tuple[set[str], int]:
    """Copy one shard with the trained tensors in place; returns the trained names used and the bytes of all tensors."""
    tensors, used = {}, set()
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
        for base_name in opened.keys():  # noqa: SIM118 (not a mapping)
            tensor = opened.get_tensor(base_name)
            name = trained.find(base_name)
            if name is not None:
                new = trained.read(name)
                if new.shape != tensor.shape:
                    raise CheckpointError(
                        f"{file}: {base_name} has shape {[*tensor.shape]}, trained {[*new.shape]}; "
                        "is it the checkpoint that the run started from?"
                    )
                tensor = new.to(tensor.dtype if dtype is None else DTYPES[dtype]).contiguous()
                used.add(name)
            elif not base_name.startswith(OTHER_PARTS):
                raise CheckpointError(
                    f"{file}: {base_name} is not among the trained tensors; is it the checkpoint that the run started "
                    "from?"
                )
            tensors[base_name] = tensor
    save_file(tensors, target, metadata=metadata)
    return used, sum(tensor.nbytes for tensor in tensors.values())


def _shards(source: Path) -> list[Path]:
    """The weight files of the base, all there."""
    shards = sorted(source.glob("*.safetensors"))
    index = source / INDEX
    named = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values() if index.is_file() else ()
    absent = sorted({*named, *(shard.name for shard in shards)} - {shard.name for shard in shards if shard.is_file()})
    if absent:
        raise CheckpointError(f"{source}: {', '.join(absent)} not here; fetch the base again")
    if not shards:
        raise CheckpointError(
            f"{source}: no safetensors files to put the trained weights into; convert the base, or give another --base"
        )
    return shards


def _copy_others(source: Path, target: Path, shards: list[Path]) -> None:
    """Everything but the shards, links as the files they point to. Left out: the state of the trainer, hidden files
    (.git, .cache) and copies of the weights in other formats, which would hold the untrained ones."""
    shutil.copytree(
        source,
        target,
        dirs_exist_ok=True,
        copy_function=shutil.copyfile,
        ignore=lambda folder, names: [
            name
            for name in names
            if name.startswith(".")
            or (Path(folder) == source and (source / name in shards or name == "trainer"))
            or name.startswith(("pytorch_model", "tf_model", "flax_model"))
        ],
    )


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    if out.exists():
        raise CheckpointError(f"{out}: exists already; choose another --out")
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{out}: cannot be written ({error})") from error


def _local(base: str) -> Path:
    """The base's folder on this machine; of a Hub id the snapshot, fetched where it is not here."""
    folder = Path(base)
    if folder.is_dir():
        return Path(resolve_checkpoint(base))
    if folder.is_absolute() or base.startswith(".") or base.count("/") > 1:
        raise CheckpointError(f"{base}: no such folder; the run started from it, give --base where it lies now")
    try:
        return Path(snapshot_download(base))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise CheckpointError(f"{base}: neither a local folder nor a Hub id that can be read ({error})") from error
