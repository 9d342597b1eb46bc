"""Which class loads a checkpoint: by the `model_type` of its config.json, or one that a user's own recipe names.

`MODEL_TYPES` has harken's own architectures. Of a checkpoint that is an adapter the base decides, so the way from an
adapter to its base is here too.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from harken.config import load_run_recipe
from harken.config.plugins import installed
from harken.errors import CheckpointError, short_repr
from harken.models.audio_flamingo import AudioFlamingo
from harken.models.chat_audio_model import ChatAudioModel
from harken.models.checkpoint_json import read_checkpoint_json, refuse_half_surrogates
from harken.models.fit_of_weights import refuse_other_language_model, refuse_quantised, refuse_too_many_layers
from harken.models.lora import ADAPTER_CONFIG, is_adapter
from harken.models.music_flamingo import MusicFlamingo
from harken.models.qwen3_omni import Qwen3Omni
from harken.models.qwen_audio import QwenAudio
from harken.models.qwen_omni import QwenOmni
from harken.models.voxtral import Voxtral
from harken.system.import_object import import_object
from harken.system.run_files import numbered

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


def own_architecture(name: str | None) -> Any:
    """The class that a recipe names as `model.architecture`; None where it names none.

    Raises ConfigError where the name stands for nothing, CheckpointError where that is no class derived from
    ChatAudioModel.
    """
    if name is None:
        return None
    model_class = import_object(name, "model.architecture", "architecture")
    if not isinstance(model_class, type) or not issubclass(model_class, ChatAudioModel):
        raise CheckpointError(f"architecture {name}: {short_repr(model_class)} is no class derived from ChatAudioModel")
    return model_class


def architecture_class(path: str, architecture: str | None = None, adapters: Sequence[str] = ()) -> Any:
    """The class that loads the checkpoint of a folder or Hub id.

    Args:
        architecture: the class that a recipe names for checkpoints of its `arch`; default that of the recipe of the run
            in which the checkpoint, or an adapter that stands on it, lies.
        adapters: those that stand on it.

    Raises CheckpointError where harken knows none.
    """
    config = read_config(path)
    refuse_too_many_layers(path, config)
    refuse_half_surrogates(Path(path))
    model_type = str(config.get("model_type"))
    model_class = MODEL_TYPES.get(model_type) or _own_class(
        model_type, architecture or next(filter(None, map(_run_architecture, (path, *adapters))), None)
    )
    if model_class is None:
        raise CheckpointError(
            f"{path}: a checkpoint of model_type {short_repr(config.get('model_type'))}; harken knows "
            f"{', '.join(sorted([*MODEL_TYPES, *installed('architecture')]))}; model.architecture of a recipe names a "
            "class of yours"
        )
    refuse_quantised(path, config)
    refuse_other_language_model(path, config, model_class.text_model_types)
    return model_class


def _run_architecture(path: str) -> str | None:
    """What the recipe of the run names as `model.architecture` in which a checkpoint lies; None elsewhere."""
    run = next((folder for folder in Path(path).resolve().parents[:2] if (folder / "config.yaml").is_file()), None)
    return None if run is None else load_run_recipe(run).model.architecture


def _own_class(model_type: str, architecture: str | None) -> Any:
    """The class that a recipe names, if it is for this type, or that an installed package offers; None without one."""
    named = own_architecture(architecture)
    if named is not None and named.arch == model_type:
        return named
    return own_architecture(model_type) if model_type in installed("architecture") else None


def resolve_checkpoint(path: str) -> str:
    """The last checkpoint of a run folder; any other path or Hub id as it is."""
    folders = [folder for _, folder in numbered(Path(path) / "checkpoints") if folder.is_dir()]
    return str(folders[-1]) if folders else path


def base_and_adapters(path: str) -> tuple[str, tuple[str, ...]]:
    """The checkpoint at the bottom of a path, which is no adapter, and the adapters that stand on it, the lowest first.

    Raises CheckpointError where adapters name each other in a circle.
    """
    path, adapters = resolve_checkpoint(path), ()
    while is_adapter(Path(path)):
        adapters = (path, *adapters)
        path = resolve_checkpoint(adapter_base(Path(path)))
        if Path(path).resolve() in [Path(adapter).resolve() for adapter in adapters]:
            raise CheckpointError(
                f"{adapters[0]}: the adapter's base is an adapter that stands on it; restore {ADAPTER_CONFIG}"
            )
    return path, adapters


def adapter_base(adapter: Path) -> str:
    """The checkpoint that an adapter was trained on: a folder or a Hub id."""
    base = read_checkpoint_json(adapter / ADAPTER_CONFIG).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise CheckpointError(f"{adapter / ADAPTER_CONFIG}: names no base (base_model_name_or_path); restore the file")
    return base


def read_config(path: str) -> dict[str, Any]:
    """config.json of a folder or Hub id. Raises CheckpointError where it cannot be read."""
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
