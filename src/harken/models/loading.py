"""Checkpoints loaded as `AudioLM`s: from a folder or a Hub id to a model on its device.

Evaluation and export call `load_model`, which also merges adapters into their base. `load_renderer` gives a model
without weights that renders prompts. `MODEL_TYPES` names the class of each architecture.
"""

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from harken.config import load_run_recipe
from harken.config.plugins import installed
from harken.errors import CheckpointError, ConfigError, HarkenError, short_repr
from harken.models.audio_flamingo import AudioFlamingo
from harken.models.audio_lm import AudioLM
from harken.models.chat_audio_model import ChatAudioModel
from harken.models.checkpoint_json import read_checkpoint_json, refuse_half_surrogates
from harken.models.fit_of_weights import (
    refuse_misfit,
    refuse_other_language_model,
    refuse_quantised,
    refuse_too_many_layers,
)
from harken.models.lora import ADAPTER_CONFIG, is_adapter, merge_adapter
from harken.models.music_flamingo import MusicFlamingo
from harken.models.precision import stays_float32
from harken.models.qwen3_omni import Qwen3Omni
from harken.models.qwen_audio import QwenAudio
from harken.models.qwen_omni import QwenOmni
from harken.models.voxtral import Voxtral
from harken.system.import_object import import_object
from harken.system.run_files import numbered

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""Names of number types in recipes and options -> torch type."""

MODEL_TYPES = {
    "qwen2_5_omni": QwenOmni,
    "qwen2_5_omni_thinker": QwenOmni,
    "qwen3_omni_moe": Qwen3Omni,
    "qwen3_omni_moe_thinker": Qwen3Omni,
    "qwen2_audio": QwenAudio,
    "audioflamingo3": AudioFlamingo,
    "musicflamingo": MusicFlamingo,
    "voxtral": Voxtral,
}
"""`model_type` of config.json -> class. A new model is one file, its line here and its line in
`tiny_checkpoint.WRITERS`."""

_NAMED: dict[str, Any] = {}
"""`model_type` -> class of a user's own, as recipes have named them in this process."""


def use_architecture(name: str | None) -> None:
    """Load checkpoints of a user's own architecture by the class that a recipe names (`model.architecture`).

    Raises ConfigError where the name stands for nothing, CheckpointError where that is no class derived from
    ChatAudioModel.
    """
    if name is not None:
        model_class = _checked_class(import_object(name, "model.architecture", "architecture"), name)
        _NAMED[model_class.arch] = model_class


def load_model(path: str, *, dtype: torch.dtype = torch.float32, device: str = "auto") -> AudioLM:
    """Load a checkpoint for scoring and sampling, in eval mode, with nothing trainable.

    Raises CheckpointError naming the path where the folder is missing, is no checkpoint, has another architecture, or
    lacks a file or has a damaged one.
    """
    _avoid_cudnn_attention()
    model = _load(resolve_checkpoint(path), dtype)
    model.module.to(pick_device(device))
    model.module.eval().requires_grad_(False)
    return model


def _load(path: str, dtype: torch.dtype, above: tuple[str, ...] = ()) -> AudioLM:
    """Load a checkpoint onto the CPU. An adapter is merged into its base in float32: in bfloat16, half of what it adds
    would be rounded away.

    Args:
        above: the adapters that lead to this checkpoint.
    """
    if is_adapter(Path(path)):
        model = _load(_base_of(path, above), torch.float32, (*above, path))
        with checkpoint_errors(path):
            merge_adapter(model, Path(path))
        for name, parameter in model.module.named_parameters():
            parameter.data = parameter.data.to(torch.float32 if stays_float32(model.module, name) else dtype)
        return model
    with checkpoint_errors(path):
        model_class = architecture_class(path)
        module_class: Any = model_class.module_class
        with torch.device("meta"):
            refuse_misfit(path, module_class(module_class.config_class.from_pretrained(path)))
        return model_class.load(path, dtype)


@functools.cache
def _avoid_cudnn_attention() -> None:
    """Switch cuDNN's attention off for this process, once, so that a later model does not undo the choice of a recipe
    (docs/hardware.md)."""
    torch.backends.cuda.enable_cudnn_sdp(False)


def load_renderer(path: str) -> AudioLM:
    """A model that can render prompts and nothing else: its weights are on the meta device."""
    path, above = resolve_checkpoint(path), ()
    while is_adapter(Path(path)):
        path, above = _base_of(path, above), (*above, path)
    with checkpoint_errors(path):
        return architecture_class(path).load_without_weights(path)


def resolve_checkpoint(path: str) -> str:
    """The last checkpoint of a run folder; any other path or Hub id as it is."""
    folders = [folder for _, folder in numbered(Path(path) / "checkpoints") if folder.is_dir()]
    return str(folders[-1]) if folders else path


def adapter_base(adapter: Path) -> str:
    """The checkpoint that an adapter was trained on: a folder or a Hub id."""
    base = read_checkpoint_json(adapter / ADAPTER_CONFIG).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise CheckpointError(f"{adapter / ADAPTER_CONFIG}: names no base (base_model_name_or_path); restore the file")
    return base


def _base_of(adapter: str, above: tuple[str, ...]) -> str:
    """The checkpoint below an adapter. Raises CheckpointError where adapters name each other in a circle."""
    base = resolve_checkpoint(adapter_base(Path(adapter)))
    if Path(base).resolve() in [Path(path).resolve() for path in (*above, adapter)]:
        raise CheckpointError(
            f"{adapter}: the adapter's base is an adapter that stands on it; restore {ADAPTER_CONFIG}"
        )
    return base


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
    path = resolve_checkpoint(path)
    above = ()
    while is_adapter(Path(path)):
        path, above = _base_of(path, above), (*above, path)
    own = _dtype_of(_read_config(path))
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


def architecture_class(path: str) -> Any:
    """The class that loads the checkpoint of a folder or Hub id. Raises CheckpointError where harken knows none."""
    config = _read_config(path)
    refuse_too_many_layers(path, config)
    refuse_half_surrogates(Path(path))
    model_type = str(config.get("model_type"))
    model_class = MODEL_TYPES.get(model_type) or _own_class(model_type, path)
    if model_class is None:
        raise CheckpointError(
            f"{path}: a checkpoint of model_type {short_repr(config.get('model_type'))}; harken knows "
            f"{', '.join(sorted([*MODEL_TYPES, *installed('architecture')]))}; model.architecture of a recipe names a "
            "class of yours"
        )
    refuse_quantised(path, config)
    refuse_other_language_model(path, config, model_class.text_model_types)
    return model_class


def _own_class(model_type: str, path: str) -> Any:
    """The class that a recipe has named for this architecture, that the recipe of the checkpoint's run names, or that
    an installed package offers; None where there is none."""
    if model_type not in _NAMED:
        run = next((folder for folder in Path(path).resolve().parents[:2] if (folder / "config.yaml").is_file()), None)
        use_architecture(None if run is None else load_run_recipe(run).model.architecture)
    if model_type in _NAMED:
        return _NAMED[model_type]
    if model_type not in installed("architecture"):
        return None
    return _checked_class(import_object(model_type, "architecture", "architecture"), model_type)


def _checked_class(model_class: object, name: str) -> Any:
    if not isinstance(model_class, type) or not issubclass(model_class, ChatAudioModel):
        raise CheckpointError(f"architecture {name}: {short_repr(model_class)} is no class derived from ChatAudioModel")
    return model_class


def _read_config(path: str) -> dict[str, Any]:
    return read_checkpoint_json(_config_file(path))


def _config_file(path: str) -> Path:
    folder = Path(path)
    if folder.is_dir():
        config = folder / "config.json"
        if not config.is_file():
            raise CheckpointError(f"{path}: no config.json here; not a checkpoint in Hugging Face layout")
        return config
    if folder.is_absolute() or path.count("/") != 1 or folder.parent.is_dir():
        # Not `owner/name`, or its parent is a folder here: this is a path, so the Hub is not asked.
        raise CheckpointError(f"{path}: no such folder")
    try:
        return Path(hf_hub_download(path, "config.json"))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise CheckpointError(f"{path}: neither a local folder nor a Hub id that can be read ({error})") from error
