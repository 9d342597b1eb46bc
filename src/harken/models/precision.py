"""The precision of weights: what a checkpoint's files hold, and how a bfloat16 weight keeps the bits of its float32.

`load_policy` stores weights that train in these forms, and the optimizer updates them.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from safetensors import SafetensorError, safe_open
from torch import Tensor

from harken.errors import CheckpointError
from harken.models.checkpoint_json import read_checkpoint_json
from harken.models.weight_files import weight_files
from harken.system.files import write_text

_FLOAT_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Name of a floating type in a safetensors header -> its bytes."""
_CONFIG_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_UNTRAINED_PARTS = ("talker_config", "token2wav_config", "code2wav_config")


def nearest_bfloat16(weight: Tensor) -> Tensor:
    """float32 -> the nearest bfloat16. A number halfway between two is rounded away from zero and not to even, as torch
    does, because a correction (`split_float32`) would not always fit in 16 bits then."""
    return ((weight.view(torch.int32) + 0x8000) >> 16).to(torch.int16).view(torch.bfloat16)


def split_float32(weight: Tensor) -> tuple[Tensor, Tensor]:
    """float32 -> (the nearest bfloat16, an int16 correction). `join_float32` gives back every bit."""
    high = nearest_bfloat16(weight)
    return high, (weight.view(torch.int32) - (high.view(torch.int16).to(torch.int32) << 16)).to(torch.int16)


def join_float32(weight: Tensor, correction: Tensor) -> Tensor:
    """bfloat16 and its correction -> float32."""
    return ((weight.view(torch.int16).to(torch.int32) << 16) + correction.to(torch.int32)).view(torch.float32)


def round_stochastically(weight: Tensor, noise: Tensor) -> Tensor:
    """float32 -> bfloat16, rounded away from zero with the probability that makes the mean right.

    Args:
        noise: int32, uniform in [0, 65536).
    """
    return ((weight.view(torch.int32) + noise) >> 16).to(torch.int16).view(torch.bfloat16)


def stays_float32(model: Any, name: str) -> bool:
    """Whether transformers keeps the parameter of this name in float32, in whatever type it loads the model.

    Args:
        model: transformers' class, or a module of it.
    """
    kept = getattr(model, "_keep_in_fp32_modules_strict", None) or ()
    return not set(kept).isdisjoint(name.split("."))


def is_stored_in_bfloat16(path: str, model: Any) -> bool:
    """Whether the safetensors files of a checkpoint, a folder or a Hub id, hold nothing that is finer than bfloat16 and
    does not stay so (`stays_float32`)."""
    if Path(path).is_dir():
        return set(_stored_types(Path(path), model)) == {"BF16"}
    folder = snapshot_download(path, allow_patterns=["*.safetensors"], ignore_patterns=["consolidated*"])
    return set(_stored_types(Path(folder), model)) == {"BF16"}


@contextlib.contextmanager
def open_weights(file: Path) -> Iterator[Any]:
    """A file of safetensors. Raises CheckpointError that names it where it is damaged."""
    try:
        opened = safe_open(file, framework="pt")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file}: cannot be read ({error}); fetch or train it again") from error
    with opened as tensors:
        yield tensors


def _stored_types(folder: Path, model: Any) -> Iterator[str]:
    """The floating types of all tensors in a folder that do not stay float32, from the headers of its files."""
    for file in weight_files(folder):
        with open_weights(file) as opened:
            for name in opened.keys():  # noqa: SIM118 (not a mapping)
                dtype = opened.get_slice(name).get_dtype()
                if dtype in _FLOAT_BYTES and not stays_float32(model, name):
                    yield dtype


def state_written_dtype(folder: Path, model: Any = None) -> None:
    """Make config.json state the finest type of the tensors that were written beside it.

    transformers writes the type of the first tensor, and loads all of them in what config.json states, but for those
    that stay float32.
    """
    types = set(_stored_types(folder, model))
    if types:
        state_dtype(folder, _CONFIG_NAMES[max(types, key=lambda name: _FLOAT_BYTES[name])])


def state_dtype(folder: Path, dtype: str) -> None:
    """Put a type into config.json, also for the parts of the model that harken trains."""
    file = folder / "config.json"
    config = read_checkpoint_json(file)
    config.setdefault("torch_dtype" if "torch_dtype" in config else "dtype", dtype)
    write_text(file, json.dumps(_with_dtype(config, dtype), indent=2, ensure_ascii=False) + "\n")


def _with_dtype(config: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    changed = dict(config)
    for key, value in config.items():
        if key in ("dtype", "torch_dtype"):
            changed[key] = dtype
        elif isinstance(value, dict) and key not in _UNTRAINED_PARTS:
            changed[key] = _with_dtype(value, dtype)
    return changed
