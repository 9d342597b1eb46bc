"""A disk that is full, or read-only, at each stage of each command: one message, and afterwards the command goes on.

What is there in the end is what an undisturbed command writes.
"""

import errno
import io
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from command_line import CommandResult, harken
from disk_jobs import LIKE_ANOTHER, NAMES, READS_ONLY, Inputs, Job, jobs, make_inputs
from full_disk import FailingRenames, SmallDisk, small_disk
from scripted_server import said, serving

from harken.cli.command_table import COMMANDS, GROUPS
from harken.prepare import clip_extraction


@pytest.fixture(scope="module")
def inputs(world, tmp_path_factory) -> Inputs:
    caption = {"caption": "A dog barks.", "sounds": "a bark", "speech": "none", "music": "none"}
    with serving(lambda request: said(json.dumps(caption))) as server:
        yield make_inputs(world, tmp_path_factory.mktemp("inputs"), server.url)


@pytest.fixture(autouse=True)
def _short_demo(monkeypatch):
    loop = {"prompts_per_step": 2, "steps": 1}
    short = {"sft": loop, "grpo": {**loop, "completions_per_prompt": 2, "max_completion_tokens": 2}}
    for name, value in {"SETTINGS": short, "N_TRAIN": 12, "N_TEST": 4}.items():
        monkeypatch.setattr(f"harken.api.demo.{name}", value)


def test_every_command_that_writes_is_tried():
    commands = {name for panel in COMMANDS.values() for name in panel} - GROUPS.keys()
    commands |= {f"{group} {name}" for group, panels in GROUPS.items() for panel in panels.values() for name in panel}
    tried = {command for command in commands for name in NAMES if name.startswith(command)}
    assert commands - tried == READS_ONLY | LIKE_ANOTHER


SHARES = (0.0, 0.03, 0.2, 0.6, 0.95)
"""How much of what the command writes has room."""


def run(words: Sequence[object]) -> CommandResult:
    """Run a command; where it asks a person, the answer is always the same key."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO("a" * 200))
        patch.setattr(clip_extraction, "map_in_processes", lambda work, items, workers: map(work, items))
        return harken(*words)


def fails_with_a_sentence(job: Job, out: Path, fault: str) -> bool:
    """Whether the command failed; then with exit code 2 and a sentence."""
    result = run(job.words(out))
    if result.code == 0:
        return False
    message = " ".join(result.err.split())
    assert result.code == 2, message
    assert "Traceback" not in result.err
    assert fault in message, message
    return True


def goes_on(job: Job, out: Path, whole: dict[str, bytes]) -> None:
    if job.afresh and out.exists():
        shutil.rmtree(out)
    result = run((job.again or job.words)(out))
    begun = result.code == 0 and all((out / name).exists() for name in whole)
    if job.again is not None and not begun:  # the fault came before there was anything to go on with
        result = run(job.words(out))
    assert result.code == 0, result.err
    for name, content in whole.items():
        assert (out / name).read_bytes() == content, name


def undisturbed(job: Job, out: Path) -> dict[str, bytes]:
    result = run(job.words(out))
    assert result.code == 0, result.err
    return {name: (out / name).read_bytes() for name in job.same}


def begin(job: Job, out: Path) -> None:
    if job.before:
        job.before(out)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_is_a_sentence_and_the_command_goes_on_once_there_is_room(inputs, tmp_path, name):
    job = jobs(inputs)[name]
    with small_disk(tmp_path / "disk") as disk:
        out = disk.folder / "out"
        begin(job, out)
        already = disk.used()
        whole = undisturbed(job, out)
        needed = disk.used() - already
        n_failed = sum(_fill(disk, job, out, already + int(share * needed), whole) for share in SHARES)
    assert n_failed >= 1


def _fill(disk: SmallDisk, job: Job, out: Path, size: int, whole: dict[str, bytes]) -> bool:
    disk.empty()
    begin(job, out)
    try:
        disk.resize(max(4096, size))
    except subprocess.CalledProcessError:
        return False
    failed = fails_with_a_sentence(job, out, "room")
    disk.resize(1 << 28)
    if failed:
        goes_on(job, out, whole)
    return failed


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_read_only_target_is_a_sentence(inputs, tmp_path, name):
    job = jobs(inputs)[name]
    with small_disk(tmp_path / "disk") as disk:
        begin(job, disk.folder / "out")
        disk.make_read_only()
        assert fails_with_a_sentence(job, disk.folder / "out", "Read-only file system")
        disk.resize(1 << 28)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_fault_at_every_file_that_a_command_writes(inputs, tmp_path, monkeypatch, name):
    """Full at every second file and read-only at the others."""
    assert _try_stages(jobs(inputs)[name], tmp_path, monkeypatch, range(1, 200)) >= 1


def test_a_fault_at_some_files_that_a_command_writes(world, tmp_path, monkeypatch):
    """A sample of the above, of commands that read the world alone."""
    few = jobs(Inputs(world, tmp_path, ""))
    for name, stage in (("evaluate", 2), ("prepare mmau", 1), ("tiny", 1)):
        (tmp_path / name).mkdir()
        _try_stages(few[name], tmp_path / name, monkeypatch, [stage])


def _try_stages(job: Job, tmp_path: Path, monkeypatch, stages: Sequence[int]) -> int:
    """Have each stage fail in a folder of its own. Returns how many there were."""
    begin(job, tmp_path / "whole")
    whole = undisturbed(job, tmp_path / "whole")
    for done, stage in enumerate(stages):
        out = tmp_path / f"stage {stage}"
        begin(job, out)
        number = errno.ENOSPC if stage % 2 else errno.EROFS
        renames = FailingRenames(stage, number)
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", renames.replace)
            failed = fails_with_a_sentence(job, out, os.strerror(number))
        if not failed:
            return done
        goes_on(job, out, whole)
        shutil.rmtree(out)
    return len(stages)


def test_a_fault_while_json_is_written_leaves_the_earlier_file(tmp_path, monkeypatch):
    from harken.system.files import write_json

    write_json(tmp_path / "a.json", {"a": 1})
    monkeypatch.setattr(os, "replace", FailingRenames(1).replace)
    with pytest.raises(OSError, match="No space left"):
        write_json(tmp_path / "a.json", {"a": 2})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}
