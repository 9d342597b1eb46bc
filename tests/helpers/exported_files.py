"""Bases and what is exported from them: their weights, files and logits, and checkpoints as a run writes them."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_models import perturbed, plain_arguments

from harken.data.demo_set import write_demo_set
from harken.models.loading import load_model

OMNI, AUDIO = "qwen2_5_omni", "qwen2_audio"
PLAIN = {
    OMNI: transformers.Qwen2_5OmniThinkerForConditionalGeneration,
    AUDIO: transformers.Qwen2AudioForConditionalGeneration,
    "full": transformers.Qwen2_5OmniForConditionalGeneration,
}
BASES = [OMNI, AUDIO, "full"]
AS_IT_IS = {OMNI: "thinker", AUDIO: "full", "full": "full"}
"""The layout of each base; test_layouts.py tests the others."""


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()}


def plain_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names without the prefix of a full Omni checkpoint, which a run that started from such a checkpoint keeps."""
    return {name.removeprefix("thinker."): tensor for name, tensor in tensors.items()}


def files_of(folder: Path) -> dict[str, bytes]:
    """The content of each file by its path inside the folder; weights count as empty."""
    return {
        str(file.relative_to(folder)): b"" if file.suffix == ".safetensors" else file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def base_files(folder: Path) -> dict[str, bytes]:
    """The same for a base, with the config as an export writes it: with the truth about its head at every level."""
    files = files_of(folder)
    config = json.loads(files["config.json"])
    text = config.get("thinker_config", config)["text_config"]
    if text["tie_word_embeddings"]:
        text["tie_word_embeddings"] = False  # tiny Omni checkpoints have a head of their own
        files["config.json"] = (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()
    return files


def files_beside_the_card(folder: Path) -> dict[str, bytes]:
    """The same for an exported folder, except its model card, which must be there."""
    files = files_of(folder)
    assert files.pop("README.md").startswith(b"---\n")
    return files


def retyped(folder: Path, target: Path, dtype: torch.dtype) -> Path:
    """A copy of a checkpoint in another data type."""
    shutil.copytree(folder, target)
    tensors = {name: tensor.to(dtype) for name, tensor in weights_of(folder).items()}
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    return target


def moved(base: Path, target: Path, scale: float = 0.05) -> Path:
    """A checkpoint folder as a run would write it, every weight moved a little."""
    target.mkdir(parents=True)
    model = perturbed(load_model(str(base), device="cpu"), scale)
    model.save(target)
    (target / "trainer").mkdir()
    (target / "trainer" / "state.json").write_text("{}")
    return target


def run_values(folder: Path, name: str, base: Path) -> dict[str, Any]:
    write_demo_set(folder / "data", seed=0, n_train=4, n_test=4)
    return {
        **{"name": name, "model": {"path": str(base)}},
        "data": {"train": [{"file": str(folder / "data" / "train.json")}]},
        "sft": {"steps": 2, "prompts_per_step": 2, "learning_rate": 1e-2, "schedule": "constant"},
        "grpo": {
            **{"steps": 2, "prompts_per_step": 2, "completions_per_prompt": 2, "learning_rate": 1e-2},
            **{"max_completion_tokens": 3, "schedule": "constant"},
        },
    }


def logits_of(model, question) -> torch.Tensor:
    embedded = model.embed([question], model.encode_audio([question]))[0]
    positions = torch.arange(question.length)
    causal = (positions[:, None] >= positions)[None, None]
    return model.logits(model.hidden(embedded[None], positions[None], causal))[0]


def plain_logits_of(plain, question) -> torch.Tensor:
    """The same by transformers' own class, the whole model or its thinker."""
    thinker = getattr(plain, "thinker", plain)
    return thinker(**plain_arguments([question], thinker), use_cache=False).logits[0]
