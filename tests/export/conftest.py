"""The checkpoints to which tests of the export put trained weights."""

from pathlib import Path

import pytest
from exported_files import AUDIO, OMNI
from tiny_models import tiny_folder, write_full_omni


@pytest.fixture(scope="session")
def bases(tmp_path_factory) -> dict[str, Path]:
    full = tmp_path_factory.mktemp("full")
    write_full_omni(full)
    return {OMNI: tiny_folder(OMNI), AUDIO: tiny_folder(AUDIO), "full": full}
