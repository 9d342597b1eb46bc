"""One writer a folder: of two processes one goes on, and what kill -9 leaves stops nobody."""

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_runs import metric_rows, small_recipe
from tiny_models import tiny_folder

from harken.config import as_yaml
from harken.data.demo_set import write_demo_set
from harken.errors import InUseError
from harken.system.reply_cache import ReplyCache
from harken.system.writer_lock import WriterLock, one_writer

HOLD = """
import sys, time
from pathlib import Path
from harken.system.writer_lock import WriterLock
WriterLock.of_folder(Path(sys.argv[1])).acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of `tmp_path / "run"`."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_process_is_told_who_writes_where_and_since_when(tmp_path, holder):
    pattern = rf"{tmp_path / 'run'}: in use by process {holder.pid} on {socket.gethostname()} since 20\d\d-\S+;"
    with pytest.raises(InUseError, match=pattern):
        WriterLock.of_folder(tmp_path / "run").acquire()


HOLD_LATE = """
import fcntl, json, os, socket, sys, time
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.lockf(descriptor, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(0.3)
holder = {"pid": os.getpid(), "host": socket.gethostname(), "started": "2030"}
os.truncate(descriptor, 0)
os.pwrite(descriptor, json.dumps(holder).encode(), 0)
time.sleep(60)
"""


@pytest.mark.parametrize("left", ["", json.dumps({"pid": 2**22 + 1, "host": socket.gethostname(), "started": "2020"})])
def test_the_second_process_waits_until_the_first_has_written_who_it_is(left, tmp_path):
    (tmp_path / ".lock").write_text(left)
    words = [sys.executable, "-c", HOLD_LATE, str(tmp_path / ".lock")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            with pytest.raises(
                InUseError, match=rf"in use by process {process.pid} on {socket.gethostname()} since 2030"
            ):
                WriterLock.of_folder(tmp_path).acquire()
        finally:
            process.kill()


def test_a_lock_ends_with_a_process_that_is_killed(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / ".lock").exists()
    with WriterLock.of_folder(tmp_path / "run"):
        holding = json.loads((tmp_path / "run" / ".lock").read_text())
        assert (holding["pid"], holding["host"]) == (os.getpid(), socket.gethostname())
    assert not (tmp_path / "run").exists() or list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("content", ["", "\0\0\0", "[1]", '{"pid": 1', json.dumps({"host": socket.gethostname()})])
def test_a_damaged_lock_that_nobody_holds_is_taken_over(tmp_path, content):
    (tmp_path / ".lock").write_text(content)
    with WriterLock.of_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_another_host_is_never_taken_over_and_says_which_file_to_remove(tmp_path):
    (tmp_path / ".lock").write_text(json.dumps({"pid": 7, "host": "elsewhere", "started": "2026-01-01T00:00:00"}))
    with pytest.raises(
        InUseError, match=rf"process 7 on elsewhere since 2026.*remove {re.escape(str(tmp_path))}/.lock"
    ):
        WriterLock.of_folder(tmp_path).acquire()
    assert (tmp_path / ".lock").exists()


def test_the_folder_is_free_after_an_error_and_one_that_was_created_for_the_lock_is_gone(tmp_path):
    @one_writer
    def write(out: Path) -> None:
        assert (out / ".lock").exists()
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            write(out=tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def race(folder: Path, moment: float) -> list[int]:
    """Fork two processes that write into a folder from one moment on. Returns the exit codes, 0 and 2 for InUseError.

    The one that writes holds the folder until the other was refused, for 5 s at most.
    """
    children, refused = [], folder.with_name(f"{folder.name}-refused")
    for _ in range(2):
        if (child := os.fork()) == 0:
            code = 1
            try:
                time.sleep(max(0.0, moment - time.time()))
                with WriterLock.of_folder(folder), (folder / "rows.txt").open("a") as rows:
                    for row in range(20):
                        rows.write(f"{row}\n")
                        rows.flush()
                    until = time.monotonic() + 5
                    while not refused.exists() and time.monotonic() < until:
                        time.sleep(0.005)
                code = 0
            except InUseError:
                refused.touch()
                code = 2
            finally:
                os._exit(code)
        children.append(child)
    return sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


@pytest.mark.parametrize("left_by_a_kill", [False, True])
def test_of_two_processes_that_start_at_one_moment_one_writes(tmp_path, left_by_a_kill):
    for number in range(3):
        folder = tmp_path / str(number)
        if left_by_a_kill:
            folder.mkdir()
            holding = {"pid": 2**22 + 1, "host": socket.gethostname(), "started": "2026-01-01T00:00:00"}
            (folder / ".lock").write_text(json.dumps(holding))
        assert race(folder, time.time() + 0.05) == [0, 2]
        assert (folder / "rows.txt").read_text().split() == [str(row) for row in range(20)]


@pytest.fixture
def no_locks(monkeypatch):
    """A file system that has no locks."""

    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("harken.system.writer_lock.fcntl.lockf", refuse)
    monkeypatch.setattr("harken.system.writer_lock.SETTLE_S", 0.05)


def test_without_locks_the_file_is_the_lock_while_its_process_lives(tmp_path, holder, no_locks):
    with pytest.raises(InUseError, match=f"in use by process {holder.pid} on"):
        WriterLock.of_folder(tmp_path / "run").acquire()
    holder.kill()
    holder.wait()
    with WriterLock.of_folder(tmp_path / "run"):
        assert json.loads((tmp_path / "run" / ".lock").read_text())["pid"] == os.getpid()
    assert race(tmp_path / "run", time.time() + 0.05) == [0, 2]


def test_two_calls_in_one_process_exclude_each_other_too(tmp_path):
    with WriterLock.of_folder(tmp_path), pytest.raises(InUseError, match=f"this process \\({os.getpid()}\\)"):
        WriterLock.of_folder(tmp_path / ".").acquire()


def test_a_file_of_replies_has_one_writer_until_it_is_closed(tmp_path):
    first = ReplyCache(tmp_path / "replies.jsonl")
    with pytest.raises(InUseError, match=r"replies\.jsonl: in use by this process"):
        ReplyCache(tmp_path / "replies.jsonl")
    first.close()
    ReplyCache(tmp_path / "replies.jsonl").close()
    assert [file.name for file in tmp_path.iterdir()] == ["replies.jsonl"]


@pytest.mark.slow
def test_of_two_training_runs_that_start_on_one_folder_one_goes_on_in_each_of_50_races(tmp_path):
    write_demo_set(tmp_path / "data", seed=0, n_train=8, n_test=4)
    recipe = small_recipe(tiny_folder("qwen2_5_omni"), tmp_path / "data" / "train.json", evaluate_every=None)
    recipe = recipe.model_copy(update={"grpo": recipe.grpo.model_copy(update={"steps": 1})})
    (tmp_path / "recipe.yaml").write_text(as_yaml(recipe))
    driver = Path(__file__).parents[1] / "helpers" / "lock_races.py"
    words = [sys.executable, str(driver), str(tmp_path / "recipe.yaml"), str(tmp_path / "runs"), "50"]
    results = json.loads(subprocess.run(words, check=True, capture_output=True, text=True, timeout=3600).stdout)
    for number, result in enumerate(results):
        assert sorted(result["codes"]) == [0, 2], result
        loser = result["codes"].index(2)
        # The second of them may come when the first is done.
        reasons = (f"in use by process {result['pids'][1 - loser]} on", "holds a run already")
        assert any(reason in result["lines"][loser] for reason in reasons), result
        assert [row["step"] for row in metric_rows(tmp_path / "runs" / str(number))] == [1]
