"""Looks at a checkpoint before a model is made of it: quantised weights, a language model of another family, and a
config.json that describes another model than the files hold.

Only headers are read. A config.json that was cut to its model type describes the largest model of its architecture,
which would be made in memory, 21 GB for 7B, before a weight is missed.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from harken.errors import CheckpointError, short_repr
from harken.models.checkpoint_json import read_checkpoint_json, refuse_half_surrogates
from harken.models.weight_files import weight_files

MOST_UNKNOWN = 0.1
"""So large a share of a model may lack tensors of its shapes. Less is named weight by weight when the model is
loaded."""
MOST_LAYERS = 1000
"""Several times those of the deepest published models."""
_LONGEST_HEADER = 100_000_000
"""Bytes, the limit of safetensors."""
_PACKED = (".qweight", ".qzeros", ".weight_packed", ".weight_scale")
"""Endings of tensors that quantised checkpoints have in place of weights."""


def refuse_quantised(path: str, config: Mapping[str, Any]) -> None:
    """Raise CheckpointError, with the method's name, where the config or the tensors are of a quantised model."""
    method = _quantisation(config)
    if method is None and any(name.endswith(_PACKED) for name in read_shapes(Path(path))):
        method = "a method that its config.json does not name"
    if method is not None:
        raise CheckpointError(
            f"{path}: its weights are quantised ({method}), which harken can neither train nor sample; "
            "take the checkpoint that it was made from"
        )


def refuse_other_language_model(path: str, config: Mapping[str, Any], families: frozenset[str]) -> None:
    """Raise CheckpointError where a known wrapper holds a language model of another family.

    Args:
        families: values of `text_config.model_type` that the wrapper's class has been written for.
    """
    inner = config.get("thinker_config")
    text = (inner if isinstance(inner, dict) else config).get("text_config")
    if text is None:
        return
    if not isinstance(text, dict):
        raise CheckpointError(f"{path}: text_config in config.json is {short_repr(text)}; fetch the checkpoint again")
    family = text.get("model_type")
    if family is not None and family not in families:
        raise CheckpointError(
            f"{path}: a language model of model_type {short_repr(family)} inside {config.get('model_type')}; harken "
            f"knows {', '.join(sorted(families))} there"
        )


def refuse_too_many_layers(path: str, config: Mapping[str, Any]) -> None:
    """Raise CheckpointError where a config, at any level, has more than MOST_LAYERS layers. transformers makes Python
    objects for every layer, so that a damaged number would take hours and all memory even without weights."""
    for key, value in config.items():
        if isinstance(value, dict):
            refuse_too_many_layers(path, value)
        elif str(key).endswith(("layers", "depth")) and isinstance(value, int) and value > MOST_LAYERS:
            raise CheckpointError(f"{path}: config.json has {key} {short_repr(value)}; fetch config.json again")


def refuse_unusable_json(path: str) -> None:
    """Raise CheckpointError for JSON files of a folder that transformers reads and that fail later: a config.json with
    too many layers, or text that cannot be written again."""
    file = Path(path) / "config.json"
    if file.is_file():
        refuse_too_many_layers(path, read_checkpoint_json(file))
    refuse_half_surrogates(Path(path))


def refuse_misfit(path: str, module: nn.Module) -> None:
    """Raise CheckpointError where the model of config.json is another than that of the safetensors files.

    Args:
        module: made of config.json, on the meta device.
    """
    stored = Counter(read_shapes(Path(path)).values())
    if not stored:
        return  # other formats, and Hub ids that are not here yet
    missing, total, example = 0, 0, ""
    for name, parameter in module.named_parameters():
        shape = tuple(parameter.shape)
        total += parameter.numel()
        for part, number in _stored_as(name, shape, stored):
            there = min(number, stored[part])
            stored[part] -= there
            if there < number:
                missing += (number - there) * math.prod(part)
                example = example or f"{name} of shape {[*part]}"
    if missing > MOST_UNKNOWN * total:
        raise CheckpointError(
            f"{path}: config.json describes a model of {total:,} weights, and for {missing:,} of them the files hold "
            f"no tensor of the shape, such as {example}; fetch config.json again"
        )


def _stored_as(
    name: str, shape: tuple[int, ...], stored: Counter[tuple[int, ...]]
) -> list[tuple[tuple[int, ...], int]]:
    """(shape, number) of the tensors in which files hold a parameter. The experts of a block, one parameter in a
    module, are a tensor or two for each expert in published files."""
    experts, _, part = name.rpartition(".experts.")
    if not experts or stored[shape] > 0 or len(shape) != 3:
        return [(shape, 1)]
    number, rows, columns = shape
    return [((rows // 2, columns), 2 * number)] if part == "gate_up_proj" else [((rows, columns), number)]


def read_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor in the safetensors files of a folder, from their headers. Raises CheckpointError
    where a header is damaged."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file in weight_files(folder) if folder.is_dir() else ():
        shapes |= _header(file)
    return shapes


def _header(file: Path) -> dict[str, tuple[int, ...]]:
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if length > _LONGEST_HEADER:
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(opened.read(length))
        return {name: tuple(map(int, header[name]["shape"])) for name in header if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise CheckpointError(
            f"{file}: cannot be loaded (its header is damaged); fetch the checkpoint again"
        ) from error


def _quantisation(config: Mapping[str, Any]) -> str | None:
    """The method that a config names at any level, None where it names none."""
    settings = config.get("quantization_config")
    if isinstance(settings, dict):
        return str(settings.get("quant_method") or settings.get("quantization_method") or "unknown")[:80]
    inner = (value for key, value in config.items() if isinstance(value, dict) and key.endswith("_config"))
    return next((method for part in inner if (method := _quantisation(part)) is not None), None)
