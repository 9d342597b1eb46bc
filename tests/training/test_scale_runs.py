"""Whole runs on several ranks compared with the same runs on one rank, and runs that lose a rank.

They are slow; `make proofs` runs them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from scale_driver import free_port
from scale_runs import (
    completions_of_run,
    differing_metrics,
    on_ranks,
    relative_difference,
    starting_weights,
    write_questions,
    write_recipe,
)
from small_runs import differences, metric_rows, read_run

pytestmark = pytest.mark.slow

WAYS = {
    "qwen2_audio": ("grpo", "qwen2_audio", {}),
    "audioflamingo3": ("grpo", "audioflamingo3", {}),
    "musicflamingo": ("grpo", "musicflamingo", {}),
    "voxtral": ("grpo", "voxtral", {}),
    "qwen3_omni_moe": ("grpo", "qwen3_omni_moe", {}),
    "qwen3_omni_moe with its router": ("grpo", "qwen3_omni_moe", {"model": {"train_router": True}}),
    "frozen tower": ("grpo", "qwen2_5_omni", {"model": {"train_audio_tower": False, "train_projector": False}}),
    "checkpointing": ("grpo", "qwen2_5_omni", {"model": {"gradient_checkpointing": True}}),
    "two iterations": ("grpo", "qwen2_5_omni", {"grpo": {"num_iterations": 2}}),
    "repeated rows": ("grpo", "qwen2_5_omni", {"grpo": {"policy_pass": "repeated"}}),
    "no reference, dapo": ("grpo", "qwen2_5_omni", {"grpo": {"beta": 0.0, "normalization": "dapo"}}),
    "parts of a rollout": ("grpo", "qwen2_5_omni", {"memory": {"rollout_rows": 3}}),
    "long completions": ("grpo", "qwen2_5_omni", {"grpo": {"max_completion_tokens": 40}}),
    "large micro-batches": ("grpo", "qwen2_5_omni", {"grpo": {"tokens_per_micro_batch": 4096, "prompts_per_step": 5}}),
    "listening": (
        "grpo",
        "qwen2_5_omni",
        {
            "reward": {
                "parts": [{"name": "small_runs:reward_by_letters"}, {"name": "listening"}],
                "listening": {"against": "shuffled", "only_correct": False},
            }
        },
    ),
    "resampling": (
        "grpo",
        "qwen2_5_omni",
        {
            "reward": {"parts": [{"name": "small_runs:reward_of_odd_questions"}]},
            "grpo": {"resample_equal_groups": 2},
        },
    ),
    "resampling, a frozen tower, large micro-batches": (
        "grpo",
        "qwen2_5_omni",
        {
            "model": {"train_audio_tower": False, "train_projector": False},
            "reward": {"parts": [{"name": "small_runs:reward_of_odd_questions"}, {"name": "listening"}]},
            "grpo": {"resample_equal_groups": 1, "tokens_per_micro_batch": 4096, "prompts_per_step": 5},
        },
    ),
    "gspo, reinforce_pp, two iterations": (
        "grpo",
        "qwen2_5_omni",
        {"grpo": {"objective": "gspo", "advantage": "reinforce_pp", "num_iterations": 2, "clip_low": 0.01}},
    ),
    "sft": ("sft", "qwen2_5_omni", {}),
    "sft, qwen2_audio": ("sft", "qwen2_audio", {}),
    "evaluations on the way": (
        "sft",
        "qwen2_5_omni",
        {"data": {"dev_share": 0.34}, "logging": {"evaluate_every": 2}},
    ),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_questions(folder)
    return folder


def pair(data: Path, out: Path, /, sizes=(1, 2), loop="grpo", arch="qwen2_5_omni", sgd=True, lora=False, **sections):
    """The folders of the same run on each of two numbers of ranks."""
    recipe = write_recipe(data, arch, lora, **sections)
    jobs = [
        {"recipe": str(recipe), "loop": loop, "sgd": sgd, "size": size, "out": str(out / str(size))} for size in sizes
    ]
    for job_result in on_ranks(out, *jobs):
        assert set(job_result["exits"]) == {"done"}, job_result["errors"]
    return [out / str(size) for size in sizes]


def checkpoint(run: Path, step: int = 5) -> Path:
    return run / "checkpoints" / f"step_{step:06d}"


@pytest.mark.parametrize("way", WAYS)
def test_two_ranks_take_the_steps_of_one(way, data, tmp_path):
    loop, arch, sections = WAYS[way]
    one, two = pair(data, tmp_path, loop=loop, arch=arch, **sections)
    assert relative_difference(checkpoint(one), checkpoint(two), starting_weights(arch, checkpoint(one))) < 1e-5
    assert differing_metrics(one, two, 1e-3) == []
    assert completions_of_run(one) == completions_of_run(two)


@pytest.mark.parametrize("size", [3, 4])
def test_more_ranks_than_prompts_take_the_steps_of_one(size, data, tmp_path):
    one, many = pair(data, tmp_path, (1, size), grpo={"prompts_per_step": 2})
    assert (
        relative_difference(checkpoint(one), checkpoint(many), starting_weights("qwen2_5_omni", checkpoint(one))) < 1e-5
    )
    assert completions_of_run(one) == completions_of_run(many)


@pytest.mark.parametrize("model", [{}, {"train_language_model": False}])
def test_text_alone_leaves_no_rank_waiting(model, data, tmp_path):
    text = tmp_path / "text"
    write_questions(text, text_only=True)
    one, two = pair(text, tmp_path, model=model)
    assert differing_metrics(one, two, 1e-3) == []


def test_encoded_clips_are_kept_once_for_any_number_of_ranks(data, tmp_path):
    frozen = {"train_audio_tower": False, "train_projector": False}
    kept = tmp_path / "encoded"
    one, two = pair(data, tmp_path, model=frozen, data={"encoded_cache": str(kept)})
    assert differing_metrics(one, two, 1e-3) == []
    assert completions_of_run(one) == completions_of_run(two)
    assert len(list(kept.iterdir())) == 3 + 1  # and the silent clip of a rank that has fewer micro-batches


def test_options_that_work_on_one_process_only_are_refused_before_anything_is_written(data, tmp_path):
    job = {
        "recipe": str(write_recipe(data, grpo={"policy_pass": "continued"})),
        "loop": "grpo",
        "out": str(tmp_path / "run"),
    }
    (job_result,) = on_ranks(tmp_path, {**job, "size": 2})
    assert job_result["exits"] == ["error"] * 2
    fix = "grpo.policy_pass: continued is for one process: set grpo.policy_pass: packed"
    assert job_result["errors"] == [f"ConfigError: {fix}", f"ReportedByOtherRankError: rank 0: {fix}"]
    assert not (tmp_path / "run").exists()


def test_adamw_gives_close_metrics_and_the_same_samples(data, tmp_path):
    one, two = pair(data, tmp_path, sgd=False, grpo={"learning_rate": 1e-3})
    assert differing_metrics(one, two, 1e-3) == []
    assert completions_of_run(one) == completions_of_run(two)
    assert (
        relative_difference(checkpoint(one), checkpoint(two), starting_weights("qwen2_5_omni", checkpoint(one))) < 0.02
    )


def test_adapters_train_alike_and_their_checkpoint_goes_on_with_another_number_of_ranks(data, tmp_path):
    one, two = pair(data, tmp_path, arch="qwen2_audio", sgd=False, lora=True, grpo={"learning_rate": 1e-3})
    assert differing_metrics(one, two, 1e-3) == []
    assert_same_written_by(data, two, tmp_path, 1, arch="qwen2_audio", lora=True)
    assert_same_written_by(data, one, tmp_path, 2, arch="qwen2_audio", lora=True)


IN_BFLOAT16 = {
    "float32 weights": {},
    "voxtral, bfloat16 weights": {"arch": "voxtral", "memory": {"weights": "bf16_corrected"}},
    "voxtral, adapters": {"arch": "voxtral", "lora": True, "model": {"frozen_dtype": "bfloat16"}},
}
"""The positions of Voxtral's tower stay float32 beside bfloat16 weights."""


@pytest.mark.parametrize("kind", IN_BFLOAT16)
def test_bf16_mixed_stays_near_one_process(kind, data, tmp_path):
    options = {**IN_BFLOAT16[kind]}
    model = {"precision": "bf16_mixed", **options.pop("model", {})}
    one, two = pair(data, tmp_path, model=model, sgd=False, **options)
    first, second = metric_rows(one)[0], metric_rows(two)[0]
    assert second["policy/entropy"] == pytest.approx(first["policy/entropy"], rel=1e-2)
    assert second["policy/grad_norm"] == pytest.approx(first["policy/grad_norm"], rel=0.2)


def assert_same_written_by(data: Path, run: Path, out: Path, size: int, **kind) -> None:
    """Have `size` ranks read a checkpoint and write it again, and assert that it is the same, bit for bit."""
    recipe, copy = write_recipe(data, **kind), out / f"again{size}"
    job = {"call": "save_again", "recipe": str(recipe), "out": str(run), "again": str(copy), "size": size}
    (job_result,) = on_ranks(out, job)
    assert job_result["exits"] == ["done"] * size, job_result["errors"]
    original, written = read_run(run), read_run(copy)
    for part in ("step_000005", "step_000005/optimizer", "step_000005/state"):
        assert differences(written[part], original[part]) == []


def test_a_checkpoint_of_two_ranks_is_one_of_one_rank_bit_for_bit_and_the_reverse(data, tmp_path):
    one, two = pair(data, tmp_path, sgd=False)
    assert_same_written_by(data, two, tmp_path, 1)
    assert_same_written_by(data, one, tmp_path, 2)
    assert_same_written_by(data, two, tmp_path, 3)


@pytest.mark.parametrize(("first", "then"), [(2, 1), (1, 2), (2, 3)])
def test_a_run_that_loses_a_rank_goes_on_with_another_number_of_ranks(first, then, data, tmp_path):
    changes = {"grpo": {"learning_rate": 1e-3}, "logging": {"checkpoint_every": 2}}
    recipe = str(write_recipe(data, **changes))
    run = {"recipe": recipe, "loop": "grpo", "out": str(tmp_path / "run")}
    whole, lost, resumed = on_ranks(
        tmp_path,
        {**run, "size": 1, "out": str(tmp_path / "whole")},
        {**run, "size": first, "lose": [first - 1, 3]},
        {**run, "size": then, "resume": True},
    )
    assert whole["exits"] == ["done"]
    assert lost["exits"] == ["error"] * (first - 1) + ["killed"]
    if first > 1:
        error = lost["errors"][0]
        assert error.startswith("RankError: rank 0 of 2: another rank was lost or is late (")
        assert (
            f"The last whole checkpoint is {checkpoint(tmp_path / 'run', 2)}; go on with: harken train --resume"
            in error
        )
    assert resumed["exits"] == ["done"] * then, resumed["errors"]
    assert [row["step"] for row in metric_rows(tmp_path / "run")] == [1, 2, 3, 4, 5]
    assert differing_metrics(tmp_path / "whole", tmp_path / "run", 1e-3) == []
    assert completions_of_run(tmp_path / "whole") == completions_of_run(tmp_path / "run")


@pytest.mark.parametrize("loop", ["grpo", "sft"])
def test_a_signal_to_one_rank_stops_both_after_the_step_and_they_go_on(loop, data, tmp_path):
    recipe = str(write_recipe(data, logging={"checkpoint_every": 2}))
    run = {"recipe": recipe, "loop": loop, "out": str(tmp_path / "run"), "size": 2}
    whole, stopped, resumed = on_ranks(
        tmp_path, {**run, "out": str(tmp_path / "whole")}, {**run, "stop": [1, 2]}, {**run, "resume": True}
    )
    assert whole["exits"] == ["done"] * 2
    assert stopped["exits"] == ["stopped"] * 2, stopped["errors"]
    first, second = stopped["errors"]
    assert "stopped by a signal to another rank after step 3. The last whole checkpoint is" in first
    assert second == ""  # the sentence is rank 0's
    assert resumed["exits"] == ["done"] * 2, resumed["errors"]
    assert differences(read_run(tmp_path / "run"), read_run(tmp_path / "whole")) == []


def test_parameters_are_gathered_once_for_a_rollout_however_long_each_rank_decodes(data, tmp_path):
    job = {"call": "count_gathers", "recipe": str(write_recipe(data)), "out": str(tmp_path / "run"), "size": 2}
    (job_result,) = on_ranks(tmp_path, job)
    assert job_result["exits"] == ["done"] * 2, job_result["errors"]
    for rank in job_result["results"]:
        # The blocks of the language model and of the tower, the two ends, the root.
        assert rank["gathers"] == rank["units"] == 3 + 2 + 2 + 1
        assert rank["share"] == pytest.approx(0.5, abs=0.01)


def torchrun(*arguments: str, size: int = 2, **environment: str) -> subprocess.CompletedProcess[str]:
    tests = str(Path(__file__).parents[1] / "helpers")
    path = os.pathsep.join([tests, *filter(None, [os.environ.get("PYTHONPATH")])])
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(size), "--standalone"]
    return subprocess.run(
        [*launcher, "-m", "harken", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, **environment},
    )


def test_torchrun_trains_and_a_lost_rank_ends_it_with_an_error_that_says_how_to_go_on(data, tmp_path):
    changes = {
        "reward": {"parts": [{"name": "small_runs:reward_by_letters_until_lost"}]},
        "logging": {"checkpoint_every": 2},
    }
    recipe, run = write_recipe(data, **changes), tmp_path / "run"
    lost = torchrun("train", str(recipe), "--out", str(run), HARKEN_TEST_LOSE="1")
    assert lost.returncode != 0
    assert "Signal 9 (SIGKILL)" in lost.stderr
    errors = " ".join(lost.stderr.split())
    assert f"The last whole checkpoint is {checkpoint(run, 2)}; go on with: harken train --resume {run}" in errors
    assert errors.count("error: rank 0 of 2:") == 1
    assert lost.stdout.count("data: 9 records") == 1
    resumed = torchrun("train", "--resume", str(run))
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.count(f"checkpoint: {checkpoint(run)}") == 1
    assert [row["step"] for row in metric_rows(run)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("content", ["", "no JSON"])
def test_an_error_in_the_data_is_shown_once(content, data, tmp_path):
    recipe = write_recipe(data)
    values = yaml.safe_load(recipe.read_text())
    values["data"]["train"][0]["file"] = str(tmp_path / "nothing.jsonl")
    if content:
        (tmp_path / "nothing.jsonl").write_text(content)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    ended = torchrun("train", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "run"))
    assert ended.returncode != 0
    assert ended.stderr.count("nothing.jsonl") == 1
    assert "Traceback" not in ended.stderr.split("error:")[1].split("\n")[0]


def test_a_rank_whose_others_never_come_says_so(data, tmp_path):
    environment = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "HARKEN_RANK_TIMEOUT_S": "3"}
    command = [sys.executable, "-m", "harken", "train", str(write_recipe(data)), "--out", str(tmp_path / "run")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **environment})
    assert ended.returncode == 2
    assert "rank 0 of 2: the others did not come to 127.0.0.1:" in " ".join(ended.stderr.split())


def test_half_an_environment_of_a_launcher_is_an_error(data, tmp_path):
    command = [sys.executable, "-m", "harken", "train", str(write_recipe(data)), "--out", str(tmp_path / "run")]
    environment = {name: value for name, value in os.environ.items() if name != "RANK"}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**environment, "WORLD_SIZE": "2"})
    assert ended.returncode == 2
    assert "start the run by torchrun, see docs/scale.md" in " ".join(ended.stderr.split())


def test_the_bytes_of_two_ranks_are_those_of_the_plan(tmp_path):
    """docs/scale.md counts a step's bytes on paper; the benchmark counts them in the collectives."""
    program = Path(__file__).parents[2] / "benchmarks" / "communication.py"
    command = [sys.executable, str(program), "--out", str(tmp_path / "found.json")]
    program_run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert program_run.returncode == 0, program_run.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    for case in found["cases"]:
        assert case["measured_bytes"] == pytest.approx(case["planned_bytes"], rel=0.02), case["name"]
