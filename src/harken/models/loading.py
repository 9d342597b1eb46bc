"""From a checkpoint's path to an `AudioLM`.

Takes a folder or Hub id, reads its config.json, gives the model on its device. Not taken: `AutoModelForMultimodalLM`,
which maps a full Omni config to the full model, talker and all.
"""

import contextlib
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors import SafetensorError
from torch import nn

from harken.config import ModelConfig
from harken.errors import CheckpointError, ConfigError
from harken.models.audio_flamingo import AudioFlamingo
from harken.models.base import AudioLM
from harken.models.lora import ADAPTER_CONFIG, add_adapters, is_adapter, merge_adapter
from harken.models.qwen_audio import QwenAudio
from harken.models.qwen_omni import QwenOmni

MODEL_TYPES = {
    "qwen2_5_omni": QwenOmni,
    "qwen2_5_omni_thinker": QwenOmni,
    "qwen2_audio": QwenAudio,
    "audioflamingo3": AudioFlamingo,
}
"""`model_type` of config.json -> class. Adding a model is one file and its lines here and in `tiny.WRITERS`."""


def load_model(path: str, *, dtype: torch.dtype = torch.float32, device: str = "auto") -> AudioLM:
    """Load a checkpoint for scoring and sampling, in eval mode, nothing trainable.

    Raises CheckpointError naming the path where the folder is missing, is no checkpoint, is of another architecture, or
    where one of its files is missing or damaged.
    """
    model = _merged(resolve_checkpoint(path), dtype)
    model.module.to(pick_device(device))
    model.module.eval().requires_grad_(False)
    return model


def _merged(path: str, dtype: torch.dtype) -> AudioLM:
    """A checkpoint, an adapter in its base; on the CPU."""
    if is_adapter(Path(path)):
        model = _merged(resolve_checkpoint(base_of(Path(path))), dtype)
        merge_adapter(model, Path(path))
        return model
    with explained(path):
        return _class_of(path).load(path, dtype)


def load_renderer(path: str) -> AudioLM:
    """A model that can render prompts and nothing else: its weights are on the meta device."""
    path = resolve_checkpoint(path)
    if is_adapter(Path(path)):
        return load_renderer(base_of(Path(path)))
    with explained(path):
        return _class_of(path).load_without_weights(path)


def resolve_checkpoint(path: str) -> str:
    """A run folder stands for its last checkpoint; anything else for itself."""
    found = (Path(path) / "checkpoints").glob("step_*")
    newest = max(found, key=lambda folder: int(folder.name.removeprefix("step_")), default=None)
    return path if newest is None else str(newest)


def base_of(adapter: Path) -> str:
    """The checkpoint an adapter was made for."""
    return str(json.loads((adapter / ADAPTER_CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"])


def load_policy(config: ModelConfig, trained_dtype: torch.dtype = torch.float32) -> AudioLM:
    """Load a checkpoint for training, the chosen parts trainable and of `trained_dtype`, or adapters on them.

    A checkpoint that is an adapter itself is merged into its base first.
    """
    # All of it in bfloat16 from the start where what trains is: the card might not hold it in float32.
    dtype = trained_dtype if trained_dtype == torch.bfloat16 else getattr(torch, config.frozen_dtype)
    policy = load_model(config.path, dtype=dtype, device=config.device)
    parts = {
        "audio_tower": config.train_audio_tower,
        "projector": config.train_projector,
        "language_model": config.train_language_model,
    }
    if config.lora is None:
        policy.set_trainable(**parts)
    else:
        base = str(Path(config.path).resolve()) if Path(config.path).exists() else config.path
        add_adapters(policy, resolve_checkpoint(base), rank=config.lora.rank, alpha=config.lora.alpha, **parts)
    for parameter in policy.module.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(trained_dtype)
    if config.gradient_checkpointing:
        enable_gradient_checkpointing(policy.module)
    return policy


def frozen_copy(policy: AudioLM) -> AudioLM:
    """The policy as it is now, never to change: the reference of the KL term. Weights that do not train are shared."""
    shared = {id(parameter): parameter for parameter in policy.module.parameters() if not parameter.requires_grad}
    reference = copy.deepcopy(policy, shared)
    reference.module.eval().requires_grad_(False)
    return reference


def mixed_precision(model: AudioLM, precision: str) -> contextlib.AbstractContextManager:
    """bf16_mixed: autocast to bfloat16 over float32 weights; float32: nothing."""
    return torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16_mixed")


def pick_device(name: str) -> torch.device:
    """auto = cuda where there is one, else cpu. Raises ConfigError for a device that is not here."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r}: no such kind of device; use auto, cpu, cuda or cuda:1") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {name!r}: no CUDA device can be used here; use auto or cpu")
    return device


@contextlib.contextmanager
def explained(path: str) -> Iterator[None]:
    """What transformers raises for a missing or damaged file, as an error that names the checkpoint."""
    try:
        yield
    except CheckpointError:
        raise
    except (OSError, ValueError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: cannot be loaded ({reason}); fetch the checkpoint again") from error


def _class_of(path: str):
    model_type = _model_type(path)
    if model_type not in MODEL_TYPES:
        raise CheckpointError(
            f"{path}: a checkpoint of model_type {model_type!r}; harken knows {', '.join(sorted(MODEL_TYPES))}"
        )
    return MODEL_TYPES[model_type]


def _model_type(path: str) -> str:
    folder = Path(path)
    if folder.is_dir():
        config = folder / "config.json"
        if not config.is_file():
            raise CheckpointError(f"{path}: no config.json here; not a checkpoint in Hugging Face layout")
    elif folder.is_absolute() or path.count("/") != 1 or folder.parent.is_dir():
        # Not `owner/name`, or beside files of this machine: a path, and no reason to ask the Hub.
        raise CheckpointError(f"{path}: no such folder")
    else:
        try:
            config = Path(hf_hub_download(path, "config.json"))
        except (HfHubHTTPError, HFValidationError, OSError) as error:
            raise CheckpointError(f"{path}: neither a local folder nor a Hub id that can be read ({error})") from error
    try:
        values = json.loads(config.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{config}: not JSON: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{config}: expected a JSON object, found {type(values).__name__}")
    return str(values.get("model_type"))


def enable_gradient_checkpointing(module: nn.Module) -> None:
    """Recompute each layer in the backward pass; acts in train mode only. transformers 5.23 renamed the switch."""
    renamed = getattr(module, "activation_checkpointing_enable", None)
    switch: Any = renamed or getattr(module, "gradient_checkpointing_enable", None)
    switch({"use_reentrant": False})
