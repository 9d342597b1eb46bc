"""Writes a LoRA adapter without its base, with names that the program knows which will apply it.

harken trains adapters with peft, whose tensor names are those of transformers' modules: peft and transformers apply
the files as they are. vLLM has modules of other names. It leaves out adapters whose names it does not know and answers
as the base does, without an error, so the files for vLLM are written with its names.
"""

import re
from pathlib import Path
from typing import Literal

from safetensors.torch import load_file, save_file

from harken.errors import CheckpointError
from harken.export.find_checkpoints import local_folder, trained_checkpoint
from harken.export.omni_layout import FULL, THINKER
from harken.export.written_folder import copy_other_files, new_folder, write_card
from harken.models.architectures import adapter_base
from harken.models.checkpoint_json import read_checkpoint_json
from harken.models.lora import ADAPTER_CONFIG, ADAPTER_WEIGHTS, is_adapter
from harken.models.precision import open_weights
from harken.system.files import write_json

Program = Literal["peft", "vllm"]
PROGRAMS: tuple[Program, ...] = ("peft", "vllm")
"""Programs that apply an adapter; transformers reads the files for peft."""
_ROOT = "base_model.model."
_VLLM_LAYERS = {
    FULL: "thinker.model.",
    THINKER: "thinker.model.",
    "audioflamingo3": "language_model.model.",
}
"""`model_type` of the base -> what vLLM 0.32 has before `layers.` in the names of the language model."""
_MERGE = "export without --adapter, which merges it into the base"


def export_adapter(trained: Path, out: Path, program: Program = "peft") -> None:
    """Write a LoRA adapter with tokenizer and chat template, for a program that loads it onto its base itself.

    Raises CheckpointError where `trained` is not an adapter, where the program cannot apply it, and where `out` exists
    or cannot be written.
    """
    with new_folder(out) as folder:
        adapter = trained_checkpoint(trained)
        if not is_adapter(adapter):
            raise CheckpointError(f"{adapter}: holds full weights and no adapter; export without --adapter")
        base = adapter_base(adapter)
        source = local_folder(base)
        copy_other_files(adapter, folder, [])
        if program == "vllm":
            model_type = str(read_checkpoint_json(source / "config.json").get("model_type"))
            _rename_for_vllm(adapter, folder, model_type)
        write_card(folder, trained, base, source, adapter=True)


def _rename_for_vllm(adapter: Path, folder: Path, model_type: str) -> None:
    """Write the adapter's tensors under vLLM's names, and name the adapted layers by their endings."""
    config = read_checkpoint_json(adapter / ADAPTER_CONFIG)
    if model_type not in _VLLM_LAYERS:
        raise CheckpointError(f"{adapter}: vLLM applies no adapters to {model_type}; {_MERGE}")
    if config.get("modules_to_save"):
        raise CheckpointError(f"{adapter}: vLLM takes no trained projector beside an adapter; {_MERGE}")
    with open_weights(adapter / ADAPTER_WEIGHTS) as opened:
        metadata = opened.metadata()
    renamed, endings = {}, set()
    for name, tensor in load_file(adapter / ADAPTER_WEIGHTS).items():
        match = re.fullmatch(rf"{re.escape(_ROOT)}(.*?)(layers\.\d+\.(.+)\.lora_[AB]\.weight)", name)
        if match is None or "audio_tower" in match[1]:
            raise CheckpointError(f"{adapter}: vLLM adapts the language model alone, and here is {name}; {_MERGE}")
        renamed[f"{_ROOT}{_VLLM_LAYERS[model_type]}{match[2]}"] = tensor
        endings.add(match[3].rpartition(".")[2])
    save_file(renamed, folder / ADAPTER_WEIGHTS, metadata=metadata)
    write_json(folder / ADAPTER_CONFIG, config | {"target_modules": sorted(endings)})
