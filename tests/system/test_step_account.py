"""The account of a script's steps: one line a step, whatever becomes of it."""

import json
import subprocess
import sys

import pytest

from harken.system.step_account import step_account

BUSY = "while sum(__import__('os').times()[:2]) < 0.3: pass"


def test_a_step_is_written_down_with_its_times_and_those_of_its_commands(tmp_path):
    file = tmp_path / "seed0" / "account.jsonl"
    with step_account("busy", file):
        subprocess.run([sys.executable, "-c", BUSY], check=True)
    with step_account("idle", file):
        pass
    busy, idle = (json.loads(line) for line in file.read_text().splitlines())
    assert [busy["step"], busy["code"], idle["step"], idle["code"]] == ["busy", 0, "idle", 0]
    assert 0.2 < busy["cpu_s"] < 5
    assert busy["seconds"] > 0.1
    assert set(busy) == {"step", "seconds", "cpu_s", "code", "commit", "load"}


@pytest.mark.parametrize(
    ("ends_with", "code"),
    [
        (SystemExit(75), 75),
        (SystemExit("cannot go on"), 1),
        (SystemExit(), 0),
        (KeyboardInterrupt(), 1),
        (OSError("full"), 1),
    ],
)
def test_a_step_that_fails_or_is_stopped_is_written_down_and_stops_the_script(tmp_path, ends_with, code):
    with pytest.raises(type(ends_with)), step_account("broken", tmp_path / "account.jsonl"):
        raise ends_with
    [row] = [json.loads(line) for line in (tmp_path / "account.jsonl").read_text().splitlines()]
    assert (row["step"], row["code"]) == ("broken", code)
