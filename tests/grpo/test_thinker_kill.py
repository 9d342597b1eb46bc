"""A run with a judge is killed in the middle of a step and resumed. `make proofs` runs this."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from scripted_server import serving
from small_runs import differences, quiet_console, read_run
from thinker_runs import OVERALL, judge_endpoint, score_by_prompt, thinker_recipe, write_questions
from tiny_models import tiny_folder

from harken.grpo.loop import train
from harken.training.sft import sft


@pytest.mark.slow
def test_a_killed_run_with_a_judge_resumes_with_the_same_metrics_and_repeats_no_request(tmp_path):
    started = sft(
        thinker_recipe(
            tiny_folder("qwen2_5_omni"), write_questions(tmp_path / "sft.jsonl", "it is a digit", "a word", "")
        ),
        tmp_path / "start",
        quiet_console(),
    )
    data = write_questions(tmp_path / "grpo.jsonl", "")
    with serving(score_by_prompt) as server:
        train(thinker_recipe(started, data, OVERALL, judge_endpoint(server.url)), tmp_path / "whole", quiet_console())
        wanted = {asked.body["prompt"] for asked in server.received}
    with serving(score_by_prompt) as server:
        plan = thinker_recipe(started, data, OVERALL, judge_endpoint(server.url))
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
    whole, resumed = read_run(tmp_path / "whole"), read_run(run)
    for left in (whole, resumed):
        left["judge/replies.jsonl"] = sorted(left["judge/replies.jsonl"].splitlines())
    assert differences(resumed, whole) == []
    assert set(asked) == wanted
    assert len(asked) - before == len(wanted) - answered


def wait_for_rows(metrics: Path, n: int, process: subprocess.Popen) -> None:
    while not metrics.exists() or metrics.read_bytes().count(b"\n") < n:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
