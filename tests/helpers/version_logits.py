"""Logits of tiny checkpoints under the installed transformers; `make versions` compares them between two of them.

python tests/helpers/version_logits.py write FOLDER      checkpoints and this version's adapters into FOLDER
python tests/helpers/version_logits.py read FOLDER       FOLDER/<version>.safetensors: logits of all of them
python tests/helpers/version_logits.py compare FOLDER    the largest difference between all versions in FOLDER
"""

import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_models import ARCHITECTURES, TEXTS, make_prompt, plain_arguments
from torch import Tensor

from harken.errors import CheckpointError
from harken.inference.log_probabilities import score_packed
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.models.loading import load_model
from harken.models.lora import add_adapters
from harken.models.tiny_checkpoint import write_tiny


def write(folder: Path) -> None:
    """For each architecture a checkpoint, and an adapter of it with a trained projector, both random."""
    for arch in ARCHITECTURES:
        checkpoint, adapter = folder / arch, folder / f"{arch}-adapter-{transformers.__version__}"
        if not checkpoint.exists():
            write_tiny(arch, checkpoint, TEXTS, seed=1)
        model = load_model(str(checkpoint), device="cpu")
        parts = {"audio_tower": True, "projector": True, "language_model": True}
        add_adapters(model, str(checkpoint), rank=2, alpha=4, **parts)
        generator = torch.Generator().manual_seed(3)
        for parameter in model.module.parameters():
            if parameter.requires_grad:
                parameter.data.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
        adapter.mkdir()
        model.save(adapter)


def logits(folder: Path) -> dict[str, Tensor]:
    """For each checkpoint and adapter: greedy tokens, the log-probabilities of a packed pass, and the logits of
    transformers' own forward."""
    tensors = {}
    for checkpoint in sorted(path for path in folder.iterdir() if path.is_dir()):
        arch = checkpoint.name
        try:
            model = load_model(str(checkpoint), device="cpu")
        except CheckpointError as error:
            wrote = arch.partition("-adapter-")[2]
            if wrote == transformers.__version__ or f"transformers {wrote!r} wrote it" not in str(error):
                raise
            print(f"{arch}: transformers {transformers.__version__} refuses it and names the version that wrote it")
            continue
        inputs = [make_prompt(model, "Which digit?", 0.7), make_prompt(model, "Which of these two?", None)]
        with torch.no_grad():
            audio = model.encode_audio(inputs)
            embedded = model.embed(inputs, audio)
            completions = rollout(model, embedded, 2, Sampling(temperature=0, max_completion_tokens=6), None)
            scored = score_packed(model, embedded, completions)
            tensors[f"{arch}/logits"] = model.module(**plain_arguments(inputs[:1], model.module)).logits
        tensors[f"{arch}/tokens"] = completions.tokens
        tensors[f"{arch}/logp"] = scored.logp
    return {name: value.contiguous() for name, value in tensors.items()}


def compare(folder: Path) -> int:
    files = sorted(folder.glob("*.safetensors"))
    if len(files) < 2:
        sys.exit(f"{folder}: {len(files)} versions, two are needed")
    first, *others = [load_file(file) for file in files]
    worst = 0.0
    for file, other in zip(files[1:], others, strict=True):
        for name, value in ((name, value) for name, value in first.items() if name in other):
            difference = float(np.abs(value.numpy() - other[name].numpy()).max())
            worst = max(worst, difference)
            print(f"{name:40} {files[0].stem} and {file.stem}: {tuple(value.shape)}, largest difference {difference:g}")
    return int(worst > 1e-6)


if __name__ == "__main__":
    command, folder = sys.argv[1], Path(sys.argv[2])
    if command == "compare":
        sys.exit(compare(folder))
    if command == "write":
        folder.mkdir(parents=True, exist_ok=True)
        write(folder)
    else:
        save_file(logits(folder), folder / f"{transformers.__version__}.safetensors")
