"""The small world in which the commands run."""

from pathlib import Path

import pytest
from cli_world import World, make_world, write_bad_records


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def bad(world) -> Path:
    return write_bad_records(world)
