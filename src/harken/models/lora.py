"""LoRA by peft: adapters on a model, their checkpoint, and merging them into the base.

`load_policy` adds adapters to a model for training, `load_model` merges saved ones. The model with adapters is used
like any other `AudioLM`. Adapters have no dropout: with it, the rollout and the training pass would be two policies.
"""

import contextlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import peft
import transformers
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn

from harken.errors import CheckpointError, short_repr
from harken.models.audio_lm import AudioLM
from harken.models.checkpoint_json import read_checkpoint_json
from harken.models.experts import routers
from harken.system.files import write_json

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
VERSIONS = "adapter_versions.json"


def add_adapters(
    model: AudioLM,
    base: str,
    *,
    rank: int,
    alpha: int,
    audio_tower: bool,
    projector: bool,
    language_model: bool,
) -> None:
    """Put adapters on all linear layers in the blocks of the chosen parts. They start as the identity.

    A projector that trains has no adapter: all its weights train and are saved beside the adapters.

    Args:
        base: the folder or Hub id that the adapter's checkpoint names as its base.
    """
    parts = model.parts
    chosen = {"audio_tower": audio_tower, "language_model": language_model}
    targets = "|".join(_linear_layers(model.module, parts[part]) for part, adapted in chosen.items() if adapted)
    # In models with experts, peft makes endings of the pattern (_convert_peft_config_moe), which match other parts too.
    others = rf"(?!(?:{targets})$).*" if model.routers else None
    projectors = [_name_of(model.module, parts["projector"])] if projector else None
    settings = LoraConfig(
        **{"r": rank, "lora_alpha": alpha, "lora_dropout": 0.0, "bias": "none"},
        target_modules=targets,
        exclude_modules=others,
        modules_to_save=projectors,
    )
    # peft changes the module in place. The module stays the model; the PeftModel is needed again only to save.
    with _no_warning_of_renamed_checkpointing():
        model.adapters = get_peft_model(model.module, settings)  # pyright: ignore[reportArgumentType]
    # peft writes the path that the module was loaded from, which is the wrong base where an adapter was merged into it.
    settings.base_model_name_or_path = base


def is_adapter(folder: Path) -> bool:
    return (folder / ADAPTER_CONFIG).is_file()


def merge_adapter(model: AudioLM, folder: Path) -> None:
    """Add a saved adapter to the weights of its base model.

    Raises CheckpointError where it does not fit the model.
    """
    try:
        with _no_warning_of_renamed_checkpointing(), warnings.catch_warnings():
            warnings.filterwarnings("error", message="Found missing adapter keys", category=UserWarning)
            adapted = PeftModel.from_pretrained(model.module, str(folder))  # pyright: ignore[reportArgumentType]
    except (RuntimeError, ValueError, KeyError, UserWarning) as error:
        raise CheckpointError(f"{folder}: the adapter does not fit its base ({error}){_layout_of(folder)}") from error
    adapted.merge_and_unload()  # pyright: ignore[reportCallIssue]


def saved_adapter(model: AudioLM, folder: Path) -> list[tuple[Tensor, Tensor]]:
    """Pairs of the model's own adapter weight and the saved one. Raises CheckpointError where their names differ."""
    assert model.adapters is not None
    saved, own = load_file(folder / ADAPTER_WEIGHTS), get_peft_model_state_dict(model.adapters)
    if unmatched := saved.keys() ^ own.keys():
        raise CheckpointError(
            f"{folder}: {len(unmatched)} adapter weights are in the checkpoint or in the model but not in both"
            f"{_layout_of(folder)}"
        )
    return [(own[name], tensor) for name, tensor in saved.items()]


def write_versions(folder: Path) -> None:
    """Note beside an adapter which versions wrote it: its weights have the names of transformers' modules, and these
    change from version to version."""
    write_json(folder / VERSIONS, {"transformers": transformers.__version__, "peft": peft.__version__})


def _layout_of(folder: Path) -> str:
    """What an error adds about the version that wrote an adapter; "" where it is this one."""
    file = folder / VERSIONS
    if not file.is_file():
        return f". It does not say which transformers wrote it; this is {transformers.__version__}"
    wrote = read_checkpoint_json(file).get("transformers")
    if wrote == transformers.__version__:
        return ""
    return f". transformers {short_repr(wrote)} wrote it, and this is {transformers.__version__}: load it with that one"


@contextlib.contextmanager
def _no_warning_of_renamed_checkpointing() -> Iterator[None]:
    """Ignore that peft reads `is_gradient_checkpointing`, which transformers 5.23 renamed: the value is still right."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        yield


def _linear_layers(root: nn.Module, part: nn.Module) -> str:
    """A pattern that matches the full names of the linear layers inside the blocks (`layers`) of a part, those of a
    language model with experts outside their feed-forward layers.

    It is no list of names, because peft shortens a long list to endings, which match layers of other parts too.
    """
    mixed = bool(routers(part))
    linear = (
        name
        for name, layer in part.named_modules()
        if isinstance(layer, nn.Linear) and name.startswith("layers.") and not (mixed and ".mlp." in name)
    )
    endings = sorted({name.split(".", 2)[2] for name in linear})
    return rf"{re.escape(_name_of(root, part))}\.layers\.\d+\.(?:{'|'.join(map(re.escape, endings))})"


def _name_of(root: nn.Module, part: nn.Module) -> str:
    return next(name for name, module in root.named_modules() if module is part)
