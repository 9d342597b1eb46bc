"""Checkpoints loaded as `AudioLM`s: from a folder or a Hub id to a model on its device.

Evaluation and export call `load_model`, which also merges adapters into their base. `load_renderer` gives a model
without weights that renders prompts. `architectures.py` says which class loads a checkpoint.
"""

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from harken.errors import CheckpointError, ConfigError, HarkenError
from harken.models.architectures import architecture_class, base_and_adapters, read_config
from harken.models.audio_lm import AudioLM
from harken.models.fit_of_weights import refuse_misfit
from harken.models.lora import merge_adapter
from harken.models.precision import stays_float32

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""Names of number types in recipes and options -> torch type."""


def load_model(
    path: str, *, dtype: torch.dtype = torch.float32, device: str = "auto", architecture: str | None = None
) -> AudioLM:
    """Load a checkpoint for scoring and sampling, in eval mode, with nothing trainable.

    An adapter is merged into its base in float32: in bfloat16, half of what it adds would be rounded away.

    Args:
        architecture: the class that a recipe names (`model.architecture`), as `architecture_class` takes it.

    Raises CheckpointError naming the path where the folder is missing, is no checkpoint, has another architecture, or
    lacks a file or has a damaged one.
    """
    _avoid_cudnn_attention()
    base, adapters = base_and_adapters(path)
    with checkpoint_errors(base):
        model_class = architecture_class(base, architecture, adapters)
        module_class: Any = model_class.module_class
        with torch.device("meta"):
            refuse_misfit(base, module_class(module_class.config_class.from_pretrained(base)))
        model = model_class.load(base, torch.float32 if adapters else dtype)
    for adapter in adapters:
        with checkpoint_errors(adapter):
            merge_adapter(model, Path(adapter))
    if adapters:
        for name, parameter in model.module.named_parameters():
            parameter.data = parameter.data.to(torch.float32 if stays_float32(model.module, name) else dtype)
    model.module.to(pick_device(device))
    model.module.eval().requires_grad_(False)
    return model


@functools.cache
def _avoid_cudnn_attention() -> None:
    """Switch cuDNN's attention off for this process, once, so that a later model does not undo the choice of a recipe
    (docs/hardware.md)."""
    torch.backends.cuda.enable_cudnn_sdp(False)


def load_renderer(path: str, architecture: str | None = None) -> AudioLM:
    """A model that can render prompts and nothing else: its weights are on the meta device. The arguments are those of
    `load_model`."""
    base, adapters = base_and_adapters(path)
    with checkpoint_errors(base):
        return architecture_class(base, architecture, adapters).load_without_weights(base)


def pick_device(name: str) -> torch.device:
    """auto = cuda where there is one, else cpu. Raises ConfigError for a device that this machine lacks."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r}: no such kind of device; use auto, cpu, cuda or cuda:1") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {name!r}: no CUDA device can be used here; use auto or cpu")
    return device


def pick_dtype(name: str, path: str, device: str) -> str:
    """A number type by its name. auto = the checkpoint's own on a GPU, float32 elsewhere and where it names none.

    Raises CheckpointError where the checkpoint cannot be read.
    """
    if name != "auto":
        return name
    if pick_device(device).type != "cuda":
        return "float32"
    base, _ = base_and_adapters(path)
    own = _dtype_of(read_config(base))
    return own if isinstance(own, str) and own in DTYPES else "float32"


def _dtype_of(config: Any) -> Any:
    """The type that a config.json names, itself or in the part that holds the language model."""
    if not isinstance(config, dict):
        return None
    named = config.get("dtype") or config.get("torch_dtype")
    return named or _dtype_of(config.get("thinker_config")) or _dtype_of(config.get("text_config"))


@contextlib.contextmanager
def checkpoint_errors(path: str) -> Iterator[None]:
    """Turn what transformers raises for a missing or damaged file into a CheckpointError that names the checkpoint.

    The files are other people's, and what transformers and peft raise for wrong values in them is of every kind.
    """
    try:
        yield
    except HarkenError as error:
        if path in str(error):
            raise
        raise CheckpointError(f"{path}: {error}") from error
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(f"{path}: cannot be loaded ({reason[:600]}); fetch the checkpoint again") from error
