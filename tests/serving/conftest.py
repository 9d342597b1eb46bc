"""The models that the tests of vLLM serve, made once. HARKEN_SERVED_MODELS names a folder that keeps them for later."""

import os
from pathlib import Path

import pytest
from served_models import Workshop


@pytest.fixture(scope="session")
def workshop(tmp_path_factory) -> Workshop:
    folder = os.environ.get("HARKEN_SERVED_MODELS")
    return Workshop(Path(folder).resolve() if folder else tmp_path_factory.mktemp("served"))
