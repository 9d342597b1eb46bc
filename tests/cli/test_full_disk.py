"""A disk that is full, or read-only, at each stage of each command: one message, and afterwards the command goes on.

What is there in the end is what an undisturbed command writes.
"""

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from benchmark_files import mmau_records, write
from command_line import harken
from full_disk import FailingRenames, SmallDisk, small_disk
from generate_cases import write_captions


@dataclass(frozen=True)
class Job:
    """A command that writes.

    Attributes:
        words: the command, for its target.
        again: the command that goes on after a fault; None = the same.
        same: files below the target that must be those of an undisturbed command, byte for byte.
        before: what must be there before.
    """

    words: Callable[[Path], Sequence[object]]
    again: Callable[[Path], Sequence[object]] | None = None
    same: tuple[str, ...] = ()
    before: Callable[[Path], None] | None = None


def jobs(world, tmp_path: Path) -> dict[str, Job]:
    data, root = world.data, world.data.parent
    write_captions(tmp_path / "captions.jsonl", 8)
    endpoint = {"base_url": "http://127.0.0.1:1/v1", "model": "m"}
    recipe = tmp_path / "questions.yaml"
    recipe.write_text(yaml.safe_dump({"captions": str(tmp_path / "captions.jsonl"), "endpoint": endpoint}))
    records = mmau_records(20)
    write(tmp_path / "mmau.json", records)
    write(tmp_path / "predictions.json", [{**record, "model_output": "a dog"} for record in records])
    settings = ("--set", "logging.trackers=[]", "--set", "logging.checkpoint_every=1")
    asked = ("evaluate", "--model", world.model, "--data", world.test, "--max-completion-tokens", 2)

    def training(command: str) -> Job:
        def begin(out: Path) -> Sequence[object]:
            return (command, world.recipe, "--out", out, *settings)

        def go_on(out: Path) -> Sequence[object]:
            return (command, "--resume", out) if (out / "config.yaml").exists() else begin(out)

        return Job(begin, go_on, ("checkpoints/step_000002/model.safetensors", "data.json"))

    def trained(out: Path) -> None:
        assert harken("sft", world.recipe, "--out", out, *settings).code == 0

    def converted(out: Path) -> Sequence[object]:
        file = _swift(world, tmp_path)
        return ("prepare", "jsonl", "--format", "ms_swift", "--data", file, "--audio-root", root, "--out", out)

    def generated(out: Path) -> Sequence[object]:
        return ("generate", "questions", recipe, "--out", out, "--batch-requests", out / "requests.jsonl")

    def scored(out: Path) -> Sequence[object]:
        data, file = tmp_path / "mmau.json", tmp_path / "predictions.json"
        return ("score", file, "--benchmark", "mmau", "--data", data, "--submission", out / "submission.json")

    samples = ("--samples", 2, "--temperature", 1)
    return {
        "train": training("train"),
        "sft": training("sft"),
        "extend": Job(lambda out: ("extend", out, "--steps", 3), lambda out: ("sft", "--resume", out), before=trained),
        "evaluate": Job(lambda out: (*asked, "--out", out), same=("predictions.jsonl", "summary.json")),
        "several samples": Job(
            lambda out: (*asked, *samples, "--out", out), same=("predictions.jsonl", "trials.jsonl")
        ),
        "prepare mmau": Job(
            lambda out: ("prepare", "mmau", "--data", data, "--audio-root", root, "--out", out),
            same=("manifest.jsonl",),
        ),
        "prepare jsonl": Job(converted, same=("manifest.jsonl",)),
        "generate questions": Job(generated, same=("requests.jsonl",)),
        "tiny": Job(lambda out: ("tiny", "--out", out / "tiny"), same=("tiny/model.safetensors",)),
        "export": Job(
            lambda out: ("export", _run(world, tmp_path), "--out", out / "model"), same=("model/model.safetensors",)
        ),
        "report": Job(
            lambda out: ("report", _run(world, tmp_path), "--out", out / "report.html"), same=("report.html",)
        ),
        "score": Job(scored, same=("submission.json",)),
    }


def _run(world, tmp_path: Path) -> Path:
    run = tmp_path / "trained"
    if not run.exists():
        assert harken("sft", world.recipe, "--out", run, "--set", "logging.trackers=[]").code == 0
    return run


def _swift(world, tmp_path: Path) -> Path:
    file = tmp_path / "swift.jsonl"
    if not file.exists():
        manifest = tmp_path / "for_swift"
        root = world.data.parent
        assert harken("prepare", "mmau", "--data", world.data, "--audio-root", root, "--out", manifest).code == 0
        words = ("prepare", "export", manifest / "manifest.jsonl", "--format", "ms_swift", "--out", file)
        assert harken(*words, "--audio-root", root).code == 0
    return file


NAMES = (
    *("train", "sft", "extend", "evaluate", "several samples", "prepare mmau", "prepare jsonl", "generate questions"),
    *("tiny", "export", "report", "score"),
)
SHARES = (0.0, 0.01, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.97)
"""How much of what the command writes has room."""


def fails_with_a_sentence(job: Job, out: Path, fault: str) -> bool:
    """Whether the command failed; then with exit code 2 and a sentence."""
    result = harken(*job.words(out))
    if result.code == 0:
        return False
    message = " ".join(result.err.split())
    assert result.code == 2, message
    assert "Traceback" not in result.err
    assert fault in message, message
    return True


def goes_on(job: Job, out: Path, whole: dict[str, bytes]) -> None:
    result = harken(*(job.again or job.words)(out))
    if result.code == 2 and job.again is not None:  # the fault came before there was anything to go on with
        result = harken(*job.words(out))
    assert result.code == 0, result.err
    for name, content in whole.items():
        assert (out / name).read_bytes() == content, name


def content_of(job: Job, out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in job.same}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_is_a_sentence_and_the_command_goes_on_once_there_is_room(world, tmp_path, name):
    job = jobs(world, tmp_path)[name]
    with small_disk(tmp_path / "disk") as disk:
        out = disk.folder / "out"
        if job.before:
            job.before(out)
        already = disk.used()
        assert harken(*job.words(out)).code == 0
        whole, needed = content_of(job, out), disk.used() - already
        n_failed = sum(_fill(disk, job, out, already + int(share * needed), whole) for share in SHARES)
    assert n_failed >= len(SHARES) // 2, f"{n_failed} of {len(SHARES)} sizes were too small"


def _fill(disk: SmallDisk, job: Job, out: Path, size: int, whole: dict[str, bytes]) -> bool:
    disk.empty()
    if job.before:
        job.before(out)
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
def test_a_read_only_target_is_a_sentence(world, tmp_path, name):
    job = jobs(world, tmp_path)[name]
    with small_disk(tmp_path / "disk") as disk:
        if job.before:
            job.before(disk.folder / "out")
        disk.make_read_only()
        assert fails_with_a_sentence(job, disk.folder / "out", "Read-only file system")
        disk.resize(1 << 28)


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS], ids=["full", "read-only"])
@pytest.mark.parametrize("name", NAMES)
def test_a_fault_at_every_file_that_a_command_writes(world, tmp_path, monkeypatch, name, number):
    job = jobs(world, tmp_path)[name]
    stages = _try_stages(job, tmp_path, monkeypatch, number, range(1, 200))
    assert stages >= 1


def test_a_fault_at_some_files_that_a_command_writes(world, tmp_path, monkeypatch):
    """A sample of the above."""
    for name, stages in (("evaluate", [2]), ("prepare mmau", [1]), ("tiny", [1]), ("generate questions", [1])):
        (tmp_path / name).mkdir()
        _try_stages(jobs(world, tmp_path)[name], tmp_path / name, monkeypatch, errno.ENOSPC, stages)


def _try_stages(job: Job, tmp_path: Path, monkeypatch, number: int, stages: Sequence[int]) -> int:
    """Have each stage fail in a folder of its own. Returns how many there were."""
    whole = tmp_path / "whole"
    if job.before:
        job.before(whole)
    assert harken(*job.words(whole)).code == 0
    for done, stage in enumerate(stages):
        out = tmp_path / f"stage {stage}"
        if job.before:
            job.before(out)
        renames = FailingRenames(stage, number)
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", renames.replace)
            failed = fails_with_a_sentence(job, out, os.strerror(number))
            renames.fixed = True
            if not failed:
                return done
            goes_on(job, out, content_of(job, whole))
        shutil.rmtree(out)
    return len(stages)


def test_a_fault_while_json_is_written_leaves_the_earlier_file(tmp_path, monkeypatch):
    from harken.system.files import write_json

    write_json(tmp_path / "a.json", {"a": 1})
    monkeypatch.setattr(os, "replace", FailingRenames(1).replace)
    with pytest.raises(OSError, match="No space left"):
        write_json(tmp_path / "a.json", {"a": 2})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}
