"""Which files of a checkpoint's folder hold its weights in Hugging Face layout."""

from pathlib import Path

MISTRALS_OWN = ("consolidated", "params.json")
"""How the names of files begin in which Mistral publishes the weights once more, under names of its own."""


def weight_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.safetensors") if not file.name.startswith(MISTRALS_OWN))
