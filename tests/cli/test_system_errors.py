"""Faults of files and folders at the command boundary: exit code 2 and one message with file and way out."""

import errno
import io
import os
import sys
from pathlib import Path

import pytest
from command_line import harken, refused_by

from harken.cli.app import main


def test_a_file_where_a_folder_is_needed(world, tmp_path):
    (tmp_path / "file").write_text("mine")
    out = tmp_path / "file" / "run"
    for words in (
        ["train", world.recipe, "--out", out],
        ["sft", world.recipe, "--out", tmp_path / "file"],
        ["evaluate", "--model", world.model, "--data", world.test, "--out", out],
        ["prepare", "check", world.data, "--report", out],
        ["tiny", "--out", out],
        ["demo", "--out", out],
        ["report", tmp_path / "file"],
        ["extend", tmp_path / "file", "--steps", "9"],
    ):
        result = harken(*words)
        assert result.code == 2, (words, result)
        assert "Traceback" not in result.err
    assert (tmp_path / "file").read_text() == "mine"


def test_a_name_that_is_too_long_or_not_utf_8(world, tmp_path):
    assert "File name too long. Choose a shorter name" in refused_by("tiny", "--out", tmp_path / ("x" * 300))
    message = refused_by("tiny", "--out", f"{tmp_path}/\udcff")
    assert r"\udcff: is not UTF-8; rename the file" in message
    assert not list(tmp_path.iterdir())


def test_a_full_standard_output(monkeypatch, capsys):
    class Full(io.StringIO):
        def flush(self):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sys, "stdout", Full())
    monkeypatch.setattr(sys, "argv", ["harken", "recipes", "omni_r1_avqa"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "standard output: No space left on device" in " ".join(capsys.readouterr().err.split())


def test_a_full_disk_while_a_run_is_written(world, tmp_path, monkeypatch):
    """The same command works once there is room."""
    rename, full = os.replace, [True]

    def refuse(old, new):
        if full[0] and Path(new).name == "data.json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), old)
        rename(old, new)

    monkeypatch.setattr(os, "replace", refuse)
    out = tmp_path / "run"
    message = refused_by("sft", world.recipe, "--out", out)
    assert (
        f"{out}/data.json: No space left on device. Make room. Nothing of the run was written yet: start it again"
        in message
    )
    full[0] = False
    assert harken("sft", world.recipe, "--out", out).code == 0
