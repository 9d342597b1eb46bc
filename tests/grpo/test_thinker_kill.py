"""A run with a judge that is killed in the middle of a step and goes on: `make proofs`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from scripted_server import serving
from small_runs import differences, left_by, silent
from thinker_runs import OVERALL, recipe, scored, served, written
from tiny_models import tiny_folder

from harken.grpo.loop import train
from harken.training.sft import sft


@pytest.mark.slow
def test_a_run_with_a_judge_that_is_killed_resumes_with_the_same_metrics_and_asks_nothing_again(tmp_path):
    started = sft(
        recipe(tiny_folder("qwen2_5_omni"), written(tmp_path / "sft.jsonl", "it is a digit", "a word", "")),
        tmp_path / "start",
        silent(),
    )
    data = written(tmp_path / "grpo.jsonl", "")
    with serving(scored) as server:
        train(recipe(started, data, OVERALL, served(server.url)), tmp_path / "whole", silent())
        wanted = {asked.body["prompt"] for asked in server.received}
    with serving(scored) as server:
        plan = recipe(started, data, OVERALL, served(server.url))
        file = tmp_path / "recipe.yaml"
        file.write_text(yaml.safe_dump(plan.model_dump(mode="json")))
        run = tmp_path / "run"
        command = [sys.executable, "-m", "harken", "train"]
        process = subprocess.Popen([*command, str(file), "--out", str(run)], stdout=subprocess.DEVNULL)
        wait_for_rows(run / "metrics.jsonl", 3, process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        answered = (run / "judge" / "replies.jsonl").read_bytes().count(b"\n")
        before = len(server.received)
        assert answered > 0
        subprocess.run([*command, "--resume", str(run)], check=True, stdout=subprocess.DEVNULL)
        asked = [asked.body["prompt"] for asked in server.received]
    whole, resumed = left_by(tmp_path / "whole"), left_by(run)
    for left in (whole, resumed):
        left["judge/replies.jsonl"] = sorted(left["judge/replies.jsonl"].splitlines())
    assert differences(resumed, whole) == []
    assert set(asked) == wanted
    assert len(asked) - before == len(wanted) - answered


def wait_for_rows(metrics: Path, n: int, process: subprocess.Popen) -> None:
    while not metrics.exists() or metrics.read_bytes().count(b"\n") < n:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
