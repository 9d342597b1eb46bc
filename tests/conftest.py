"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest
from tiny_models import PROVED_BY_CORE_TESTS


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make the tests of the architectures in `PROVED_BY_CORE_TESTS` slow, except those marked `core`."""
    for item in items:
        values = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if item.get_closest_marker("core") is None and any(value in PROVED_BY_CORE_TESTS for value in map(str, values)):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def _disk_is_not_waited_for():
    """Flushing a file to the disk takes milliseconds, and no test cuts the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the checkout: real recordings and benchmark metadata."""
    folder = Path(__file__).resolve().parents[1].parent / "shared"
    if not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{folder} is missing: continuous integration runs the tests on real data too")
        pytest.skip(f"{folder} is not here")
    return folder
