"""An evaluation of real recordings that is killed (kill -9) and repeated ends with the files of one that was not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from small_evaluations import results_of
from tiny_models import tiny_model


def started(model: Path, data: Path, out: Path) -> subprocess.Popen:
    words = ["evaluate", "--model", model, "--data", data, "--out", out, "--max-completion-tokens", "8"]
    return subprocess.Popen(
        [sys.executable, "-m", "harken", *map(str, words), "--batch-size", "16"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def n_answered(out: Path) -> int:
    journal = out / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


@pytest.mark.slow
def test_an_evaluation_killed_five_times_ends_with_the_files_of_one_run(shared, tmp_path):
    model, data = tmp_path / "model", shared / "realaqa" / "test.json"
    tiny_model(dtype=torch.float32).save(model)  # weights large enough that answers differ
    whole = started(model, data, tmp_path / "whole")
    assert whole.wait() == 0
    out, before = tmp_path / "killed", 0
    for kill in range(5):
        process = started(model, data, out)
        while process.poll() is None and n_answered(out) < before + 16 * (1 + 2 * kill):
            time.sleep(0.002)
        time.sleep(0.02 * kill)  # somewhere in the next batch
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert n_answered(out) > before
        before = n_answered(out)
    assert 400 <= before < 824
    assert started(model, data, out).wait() == 0
    expected = results_of(tmp_path / "whole")
    assert expected["predictions.jsonl"].count(b"\n") == 824
    assert len(set(expected["predictions.jsonl"].split(b'"completion": ')[1:])) > 100
    assert results_of(out) == expected
