"""LoRA by peft: adapters on a policy, their checkpoint, and merging them back.

Takes an `AudioLM` and settings, gives the same model with adapters in place; nothing else about it changes. The
reference of the KL term is a frozen copy that shares the base weights (`loading.frozen_copy`), so it is right
wherever the run starts from and whatever trains outside the adapters. Not taken: "adapters off" as the reference,
which is wrong when the run starts from an adapter or trains the projector; and dropout, with which the rollout and
the training pass would be two policies.
"""

import contextlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn

from harken.errors import CheckpointError
from harken.models.audio_lm import AudioLM

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


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
    """Put adapters on all linear layers of the language model's and the tower's blocks, as asked.

    A projector that trains does so in full and is saved beside the adapters. Adapters start as the identity.

    Args:
        base: what the adapter's checkpoint names as its base: folder or Hub id.
    """
    parts = model.parts
    asked = [part for part, wanted in (("audio_tower", audio_tower), ("language_model", language_model)) if wanted]
    targets = "|".join(_linear_layers(model.module, parts[part]) for part in asked)
    projectors = [_name_of(model.module, parts["projector"])] if projector else None
    settings = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=targets, modules_to_save=projectors, bias="none"
    )
    # PeftModel changes the module in place and is needed again only to save; the module stays the model.
    with _old_name_of_checkpointing():
        model.adapters = get_peft_model(model.module, settings)  # pyright: ignore[reportArgumentType]
    # peft puts the name the module was loaded from, which for a merged adapter is not what the weights are.
    settings.base_model_name_or_path = base


def is_adapter(folder: Path) -> bool:
    return (folder / ADAPTER_CONFIG).is_file()


def merge_adapter(model: AudioLM, folder: Path) -> None:
    """Add a saved adapter into the weights of its base model.

    Raises CheckpointError where it does not fit the model.
    """
    try:
        with _old_name_of_checkpointing():
            adapted = PeftModel.from_pretrained(model.module, str(folder))  # pyright: ignore[reportArgumentType]
    except (RuntimeError, ValueError, KeyError) as error:
        raise CheckpointError(f"{folder}: the adapter does not fit its base ({error})") from error
    adapted.merge_and_unload()  # pyright: ignore[reportCallIssue]


def saved_adapter(model: AudioLM, folder: Path) -> list[tuple[Tensor, Tensor]]:
    """Weights of the adapters that the model has already, each with the checkpoint's."""
    assert model.adapters is not None
    saved, own = load_file(folder / ADAPTER_WEIGHTS), get_peft_model_state_dict(model.adapters)
    if odd := saved.keys() ^ own.keys():
        raise CheckpointError(f"{folder}: {len(odd)} adapter weights have no place in the model, or are not here")
    return [(own[name], tensor) for name, tensor in saved.items()]


@contextlib.contextmanager
def _old_name_of_checkpointing() -> Iterator[None]:
    """peft asks for `is_gradient_checkpointing`, which transformers 5.23 renamed and warns of; the answer is right."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        yield


def _linear_layers(root: nn.Module, part: nn.Module) -> str:
    """A pattern of the full names of the linear layers inside the blocks (`layers`) of a part.

    Not a list of names: peft shortens a long list to endings, which match layers of other towers too.
    """
    linear = (
        name for name, layer in part.named_modules() if isinstance(layer, nn.Linear) and name.startswith("layers.")
    )
    endings = sorted({name.split(".", 2)[2] for name in linear})
    return rf"{re.escape(_name_of(root, part))}\.layers\.\d+\.(?:{'|'.join(map(re.escape, endings))})"


def _name_of(root: nn.Module, part: nn.Module) -> str:
    return next(name for name, module in root.named_modules() if module is part)
