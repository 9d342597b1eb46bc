"""After kill -9 in the middle, the same command sends no stored request again and writes the same bytes."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import harken
from generate_cases import (
    TIMEOUT_S,
    clip_number,
    counting,
    expected_kept,
    lines_of,
    position_counts,
    scripted,
    write_captions,
)
from scripted_server import Received, Scripted, serving

from harken.config import EndpointConfig
from harken.system.reply_cache import cache_key

QUICK = ("endpoint.retry_wait_s=0.01", f"endpoint.timeout_s={TIMEOUT_S}", "endpoint.retries=2")


def command(captions: Path, out: Path, url: str) -> list[str]:
    """Words of the command line."""
    options = ["--captions", captions, "--out", out, "--endpoint", url, "--model", "m", "--concurrency", "8"]
    settings = [word for setting in QUICK for word in ("--set", setting)]
    return ["generate", "questions", *map(str, options), *settings]


class Killer:
    """Kills a process when the server has received a number of requests."""

    def __init__(self, reply: Callable[[Received], Scripted]) -> None:
        self.reply = reply
        self.left: int | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def __call__(self, request: Received) -> Scripted:
        with self._lock:
            if self.left is not None:
                self.left -= 1
                if self.left == 0 and self.process is not None:
                    os.kill(self.process.pid, signal.SIGKILL)
        return self.reply(request)

    def run(self, words: list[str], after: int | None) -> int:
        with self._lock:
            self.left = after
            program = [sys.executable, "-m", "harken", *words]
            self.process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _, errors = self.process.communicate(timeout=500)
        assert self.process.returncode in (0, -signal.SIGKILL), errors.decode()
        return self.process.returncode


def killed_and_whole(tmp_path: Path, n: int, kills: list[int]) -> None:
    captions = write_captions(tmp_path / "captions.jsonl", n)
    with serving(scripted(counting())) as server:
        done = harken(*command(captions, tmp_path / "whole", server.url))
        assert done.code == 0, done.err
    killer = Killer(scripted(counting()))
    out = tmp_path / "killed"
    with serving(killer) as server:
        for after in [*kills, None]:
            stored = stored_keys(out)
            before = len(server.received)
            assert killer.run(command(captions, out, server.url), after) == (0 if after is None else -signal.SIGKILL)
            assert stored <= stored_keys(out)
            assert not {key_of(request) for request in server.received[before:]} & stored, (
                "a stored reply was asked for again"
            )
        assert stored_keys(out) <= {key_of(request) for request in server.received}
    for name in ("manifest.jsonl", "rejected.jsonl", "card.md"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    manifest, rejected = lines_of(out / "manifest.jsonl"), lines_of(out / "rejected.jsonl")
    assert {row["id"] for row in manifest} == expected_kept(n)
    assert len(manifest) + len(rejected) == n
    assert max(position_counts(manifest)) - min(position_counts(manifest)) <= 1


def stored_keys(out: Path) -> set[str]:
    path = out / "replies.jsonl"
    text = path.read_bytes() if path.exists() else b""
    return {json.loads(line)["key"] for line in text.split(b"\n")[:-1]}


def key_of(request: Received) -> str:
    """The key under which the reply to a request is stored."""
    config = EndpointConfig(base_url="http://127.0.0.1/v1", model="m")
    return cache_key(config, request.body, f"c{clip_number(request):04d}")


def test_two_kills_leave_what_no_kill_leaves(tmp_path):
    killed_and_whole(tmp_path, 64, [5, 40])


@pytest.mark.slow
def test_ten_kills_in_2000_clips_leave_what_no_kill_leaves(tmp_path):
    killed_and_whole(tmp_path, 2000, [3, 150, 400, 17, 310, 333, 90, 280, 301, 200])
