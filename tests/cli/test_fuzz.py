"""Damaged files: every reader and every command ends with a sentence or goes on, never with a traceback.

`tests/helpers/fuzz.py` is the program; here stand a sample of it for every run of the tests, and its whole run.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz_readers import READERS, as_content, content_of, try_reader
from fuzz_world import TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harken.cli.command_table import COMMANDS, GROUPS, PREPARE_COMMANDS
from harken.errors import HarkenError

HELPERS = Path(__file__).parents[1] / "helpers"
COUNT = int(os.environ.get("HARKEN_FUZZ", "50000"))
NOT_FUZZED = {"view", "ask", "demo", "tiny"}
"""They read nothing that the others do not: `view` reads as `report`, `ask` and `demo` as `evaluate` and `train`."""

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def test_every_whole_file_is_read_and_a_sample_of_damaged_ones_is_read_or_refused_with_its_name(tmp_path):
    for reader in READERS:
        assert content_of(reader, tmp_path), reader.name
    ends = [try_reader(tmp_path, random.Random(f"sample {number}")) for number in range(250)]
    assert [failure for _, _, failure in ends if failure is not None] == []
    assert {outcome for _, outcome, _ in ends} == {"read", "refused"}


SHAPED = [reader for reader in READERS if reader.kind in ("json", "jsonl", "yaml")]


def values_of(reader, data: st.DataObject):
    """The made-up content with one value of it replaced by any other."""
    value = json.loads(content_of(reader, Path("/none")).split(b"\n")[0]) if reader.kind != "yaml" else {"name": "a"}
    holder = value[0] if isinstance(value, list) else value
    key = data.draw(st.sampled_from(sorted(holder)) | st.text(max_size=5))
    return {**holder, key: data.draw(JSON_VALUES)}


def read_any(reader, data: st.DataObject, folder: Path) -> None:
    value = values_of(reader, data)
    rows = [value] if reader.kind == "jsonl" or reader.file.endswith(("train.json", "avqa.json")) else value
    file = folder / Path(reader.file).name
    file.write_bytes(as_content(rows, reader.kind))
    refused = ""
    try:
        reader.read(file)
    except HarkenError as error:
        refused = str(error)
    file.unlink()
    assert not refused or str(folder) in refused


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_the_place_of_one_is_read_or_refused(tmp_path, data):
    read_any(data.draw(st.sampled_from(SHAPED)), data, tmp_path)


@pytest.mark.slow
@settings(max_examples=5000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_value_in_the_place_of_one_is_read_or_refused_many_times(tmp_path, data):
    read_any(data.draw(st.sampled_from(SHAPED)), data, tmp_path)


def test_every_command_is_fuzzed():
    fuzzed = {word for target in TARGETS for word in target.words[:2]}
    known = {name for panel in COMMANDS.values() for name in panel}
    assert known - fuzzed - GROUPS.keys() <= NOT_FUZZED
    prepared = {name for panel in PREPARE_COMMANDS.values() for name in panel}
    assert prepared - fuzzed <= {
        "mmar",
        "airbench",
        "mmau_pro",
        "mmsu",
        "adqa",
        "filter",
    }  # their readers are among the readers


@pytest.mark.slow
def test_no_damaged_file_makes_a_command_or_a_reader_print_a_traceback(tmp_path):
    words = [sys.executable, HELPERS / "fuzz.py", "--count", COUNT, "--commands", 0.15, "--out", tmp_path]
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    failures = tmp_path / "failures.jsonl"
    assert not failures.exists(), failures.read_text()[:5000]
    assert json.loads(result.stdout)["tried"] == COUNT
