"""The checkpoints to which tests of the export put trained weights, and runs that started from them."""

from pathlib import Path

import pytest
from exported_files import AUDIO, OMNI, run_values
from rich.console import Console
from tiny_models import tiny_folder, write_full_omni

from harken.config import Recipe
from harken.training.sft import sft


@pytest.fixture(scope="session")
def bases(tmp_path_factory) -> dict[str, Path]:
    full = tmp_path_factory.mktemp("full")
    write_full_omni(full)
    return {OMNI: tiny_folder(OMNI), AUDIO: tiny_folder(AUDIO), "full": full}


@pytest.fixture(scope="session")
def sft_runs(bases, tmp_path_factory) -> dict[str, Path]:
    """An SFT run of two updates from each base."""
    folders = {}
    for name, base in bases.items():
        folder = tmp_path_factory.mktemp(f"sft-{name}")
        folders[name] = folder / "sft"
        sft(Recipe.model_validate(run_values(folder, name, base)), folders[name], Console(quiet=True))
    return folders
