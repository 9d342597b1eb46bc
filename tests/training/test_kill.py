"""A run that is killed (kill -9) anywhere and resumed has the weights, states and metrics of an undisturbed one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small_runs import differences, metric_rows, read_run, small_recipe
from tiny_models import tiny_folder

from harken.data.demo_set import write_demo_set

SAVING = [
    "before save checkpoints/step_000004/model.safetensors",  # the config is there, the weights are not
    "half save checkpoints/step_000004/model.safetensors",
    "after save checkpoints/step_000004/model.safetensors",  # no tokenizer yet
    "before save checkpoints/step_000004/trainer/optimizer.pt",
    "half save checkpoints/step_000004/trainer/optimizer.pt",
    "half save checkpoints/step_000004/trainer/random.pt",
    "half write checkpoints/step_000004/trainer/state.json",
    "before replace checkpoints/step_000004/trainer/state.json",
    "before replace checkpoints/step_000004",
    "after replace checkpoints/step_000004",
    "half write checkpoints/best.json",
    "after replace checkpoints/best.json",
    "before retire checkpoints/step_000002",
    "after retire checkpoints/step_000002",
    "half remove checkpoints/step_000002",
]
"""Step 4 is the second checkpoint, with `keep_checkpoints: 1`, and the first with a development accuracy."""

ELSEWHERE = [
    "half write config.yaml",
    "after replace config.yaml",
    "before update ",
    "half row 1",
    "half save checkpoints/step_000002/model.safetensors",  # the first checkpoint
    "after replace checkpoints/step_000002",
    "half write rollouts/step_000003.jsonl",
    "after replace rollouts/step_000003.jsonl",
    "half row 3",
    "half row 4",
    "half row 6",
    "after replace checkpoints/step_000006",  # only old checkpoints remain to be removed
]
TWICE = [
    ["half save checkpoints/step_000004/trainer/optimizer.pt", "half write metrics.jsonl"],
    ["half row 6", "after replace metrics.jsonl"],
    ["half remove checkpoints/step_000002", "half save checkpoints/step_000006/trainer/optimizer.pt"],
    ["half save checkpoints/step_000004/model.safetensors", "half remove checkpoints/step_000004"],
]
"""Runs that are killed a second time, after they were resumed."""
LAST = [
    "after replace checkpoints/step_000006",  # only the old checkpoint remains to be removed
    "after retire checkpoints/step_000004",
    "half remove checkpoints/step_000004",
]
"""Without a development part every save removes the checkpoint before it, the last one too."""
WITH_ADAPTERS = [
    "half save checkpoints/step_000004/trainer/optimizer.pt",
    "half save checkpoints/step_000004/trainer/random.pt",
    "before replace checkpoints/step_000004",
    "half remove checkpoints/step_000002",
    "half row 4",
    "half row 6",
]
KILLS = {
    "grpo": [[point] for point in SAVING + ELSEWHERE] + TWICE,
    "sft": [[point] for point in [*SAVING[1:9:3], *LAST]],
    "grpo with adapters": [[point] for point in WITH_ADAPTERS],
}
ARCHITECTURE = {"grpo": "qwen2_5_omni", "sft": "qwen2_5_omni", "grpo with adapters": "qwen2_audio"}
EVALUATE_EVERY = {"grpo": 4, "sft": None, "grpo with adapters": 4}


def run_all(kind: str, folder: Path) -> tuple[list[Path], list[list[str]], list[str]]:
    """(run folders, how their processes ended, the points that the first run passed, which is never killed)."""
    write_demo_set(folder / "data", seed=0, n_train=8, n_test=4)
    logging = {"evaluate_every": EVALUATE_EVERY[kind], "keep_checkpoints": 1}
    loop, _, adapters = kind.partition(" with ")
    plan = small_recipe(tiny_folder(ARCHITECTURE[kind]), folder / "data" / "train.json", lora=adapters != "", **logging)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(plan.model_dump(mode="json")))
    kills = [[], *KILLS[kind]]
    outs = [folder / f"run{number}" for number in range(len(kills))]
    runs = [{"out": str(out), "kill": kill} for out, kill in zip(outs, kills, strict=True)]
    runs[0] |= {"points": str(folder / "points.txt")}
    (folder / "jobs.json").write_text(json.dumps({"recipe": str(folder / "recipe.yaml"), "loop": loop, "runs": runs}))
    driver = Path(__file__).parents[1].joinpath("helpers", "kill_driver.py")
    driver_run = subprocess.run(
        [sys.executable, driver, folder / "jobs.json"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert driver_run.returncode == 0, driver_run.stderr
    return outs, json.loads(driver_run.stdout), (folder / "points.txt").read_text().split("\n")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KILLS)
def test_a_killed_and_resumed_run_writes_what_an_undisturbed_one_writes(kind, tmp_path):
    (whole, *killed), (undisturbed, *ended), points = run_all(kind, tmp_path)
    assert undisturbed == ["done"]
    expected = read_run(whole)
    assert [row["step"] for row in expected["rows"]] == [1, 2, 3, 4, 5, 6]
    unknown = {kill[0] for kill in KILLS[kind]} - set(points)
    assert not unknown, points
    for kill, out, ends in zip(KILLS[kind], killed, ended, strict=True):
        assert ends == ["killed"] * len(kill) + ["done"], kill
        assert differences(read_run(out), expected) == [], kill
        assert [row["step"] for row in metric_rows(out)] == [1, 2, 3, 4, 5, 6], kill


def test_there_are_twenty_points_and_eight_in_the_middle_of_saving():
    assert len({point for kill in KILLS["grpo"] for point in kill}) >= 20
    assert len(SAVING) >= 8
