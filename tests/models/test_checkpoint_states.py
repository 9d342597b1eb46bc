"""What binds a run to its base checkpoint."""

import pytest

from harken.errors import CheckpointError
from harken.models.checkpoint_states import checkpoint_state


@pytest.mark.parametrize("name", [" ", "/gone/checkpoint", "runs/gone/model", "-x", "a/b/c", "x" * 97])
def test_a_name_that_is_neither_a_folder_nor_a_hub_id_is_an_error_that_names_it(name):
    with pytest.raises(CheckpointError, match="no such folder, and no Hub id") as raised:
        checkpoint_state(name, hashed=False)
    assert str(raised.value).startswith(f"{name}: ")


def test_a_hub_id_that_was_never_fetched_has_no_commit_and_is_not_asked_for():
    assert checkpoint_state("nobody/nothing", hashed=False) == {"checkpoint": "nobody/nothing", "commit": None}
