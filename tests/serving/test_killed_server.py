"""2,000 questions to a server that is killed once: the evaluation goes on, loses nothing and asks nothing twice."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from vllm_server import VllmServer, serving_vllm

from harken.system.json_lines import read_json_lines

pytestmark = pytest.mark.vllm

N = 2_000
CONCURRENCY = 16
KILL_AFTER = 700
"""Answers in the evaluation's folder when the server is killed."""


def command(data: Path, out: Path, url: str) -> list[str]:
    words = [
        sys.executable,
        "-m",
        "harken",
        "evaluate",
        "--endpoint",
        url,
        "--served-model",
        "model",
        "--data",
        str(data),
    ]
    words += ["--concurrency", str(CONCURRENCY), "--max-completion-tokens", "4", "--out", str(out), "--quiet"]
    return [
        *words,
        "--set",
        "endpoint.retries=1",
        "--set",
        "endpoint.retry_wait_s=0.1",
        "--set",
        "endpoint.timeout_s=300",
    ]


def stored(out: Path) -> int:
    file = out / "replies.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def kill_when_answered(process: subprocess.Popen, out: Path, server: VllmServer) -> None:
    while stored(out) < KILL_AFTER:
        assert process.poll() is None, "the evaluation ended before the server was killed"
        time.sleep(0.2)
    server.kill()


def test_an_evaluation_whose_server_is_killed_goes_on_and_asks_nothing_twice(workshop, tmp_path):
    model = workshop.form("omni_thinker").folder
    records = json.loads((workshop.data / "train.json").read_text())[:1000]
    questions = [{**record, "id": f"{record['id']}-{turn}"} for turn in range(2) for record in records]
    assert len({question["id"] for question in questions}) == N
    data, out = workshop.data / "twice.json", tmp_path / "out"  # beside its clips
    data.write_text(json.dumps(questions))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with serving_vllm(model, tmp_path / "first.log") as server:
        process = subprocess.Popen(
            command(data, out, server.url), env=environment, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )
        kill_when_answered(process, out, server)
        _, errors = process.communicate(timeout=600)
        first = server.answered()
    kept = stored(out)
    print(f"stopped with exit code {process.returncode} and {kept} answers: {errors.strip()[-300:]}")
    assert process.returncode == 2
    assert "20 requests in a row failed" in " ".join(errors.split())
    assert "The answers so far are kept" in " ".join(errors.split())
    assert KILL_AFTER <= kept <= first <= kept + CONCURRENCY
    assert not (out / "summary.json").exists()
    with serving_vllm(model, tmp_path / "second.log") as server:
        started = time.perf_counter()
        subprocess.run(command(data, out, server.url), env=environment, check=True, cwd=tmp_path)
        print(f"{N - kept} questions in {time.perf_counter() - started:.0f} s")
        second = server.answered()
    rows = read_json_lines(out / "predictions.jsonl")
    assert [row["id"] for row in rows] == [question["id"] for question in questions]
    assert not [row for row in rows if row["reason"].startswith("failed")]
    keys = Counter(row["key"] for row in read_json_lines(out / "replies.jsonl"))
    assert (len(keys), keys.total()) == (N, N)
    assert second == N - kept  # whatever was answered before was not asked again
    assert json.loads((out / "summary.json").read_text())["n_failed"] == 0
