"""Weights read from a checkpoint completely or not at all, and weights written to one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from harken.errors import CheckpointError
from harken.models.lora import write_versions
from harken.models.precision import state_written_dtype


def load_weights(
    module_class: Any, path: str, *, dtype: torch.dtype | str, attn_implementation: str | dict[str, str] | None
) -> Any:
    """A module of this class with the checkpoint's weights.

    Args:
        dtype: "auto" keeps that of the file.
        attn_implementation: None takes transformers' choice.

    Raises CheckpointError where the checkpoint lacks weights or has them in another shape: transformers would go on
    with random ones.
    """
    # Mismatched sizes are reported below: transformers' own error names neither the checkpoint nor the weights.
    module, info = module_class.from_pretrained(
        path,
        dtype=dtype,
        attn_implementation=attn_implementation,
        use_safetensors=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    missing, mismatched = info["missing_keys"], info["mismatched_keys"]
    if missing or mismatched:
        raise CheckpointError(
            f"{path}: an incomplete {type(module).__name__}: {len(missing)} weights missing "
            f"({', '.join(sorted(missing)[:3])}), {len(mismatched)} of another shape"
        )
    return module


def save_weights(
    module: Any, adapters: PeftModel | None, folder: Path, weights: Mapping[str, Tensor] | None = None
) -> None:
    """Write the model's weights and config, or the adapters alone where there are any. `weights` as in
    `AudioLM.save`."""
    state = None if weights is None else dict(weights)
    if adapters is None:
        module.save_pretrained(folder, state_dict=state)
        state_written_dtype(folder, module)
        return
    # peft must not look at the base's embeddings, because it would ask the Hub for them.
    adapters.save_pretrained(str(folder), save_embedding_layers=False, state_dict=state)
    write_versions(folder)
    (folder / "README.md").unlink(missing_ok=True)  # peft's model card is an unfilled template
