"""The main job, command by command: warm start, GRPO, evaluation, comparison, one question, the doctor."""

import json

import pytest
import yaml
from cli_world import rows_of
from command_line import CommandResult, harken


@pytest.fixture(scope="module")
def runs(world) -> dict[str, CommandResult]:
    """The main job, command by command."""
    test, folder = world.test, world.folder
    results = {}
    results["dry run"] = harken("train", world.recipe, "--dry-run")
    results["sft"] = harken("sft", world.recipe, "--out", folder / "sft")
    results["train"] = harken("train", world.recipe, "--out", folder / "grpo", "--set", f"model.path={folder / 'sft'}")
    for run in ("sft", "grpo"):
        for name, option in (("test", []), ("test-no-audio", ["--no-audio"])):
            out = folder / run / "eval" / name
            arguments = ["--model", folder / run, "--data", test, "--out", out, "--max-completion-tokens", 4, *option]
            results[f"{run} {name}"] = harken("evaluate", "--benchmark", "mmau", *arguments)
    results["compare"] = harken("compare", folder / "sft" / "eval" / "test", folder / "grpo" / "eval" / "test")
    markdown = folder / "grpo" / "eval" / "test"
    results["markdown"] = harken("compare", folder / "sft" / "eval" / "test", markdown, "--markdown")
    clip = world.data.parent / json.loads(world.data.read_text())[0]["audio_id"]
    results["ask"] = harken(
        "ask", "--model", folder / "grpo", clip, "What is heard?", "--choices", "bell", "dog", "rain"
    )
    results["doctor"] = harken("doctor", "--model", folder / "grpo")
    return results


def test_every_command_of_the_main_job_succeeds(runs):
    assert {name: result.code for name, result in runs.items() if result.code} == {}
    assert not any(result.err for result in runs.values()), [result.err for result in runs.values() if result.err]


def test_a_dry_run_prints_the_resolved_recipe_and_one_prompt_and_writes_nothing(runs, world):
    out = runs["dry run"].out
    resolved, _, prompt = out.partition("first prompt (")
    assert yaml.safe_load(resolved)["grpo"]["beta"] == 0.04
    assert prompt.startswith(f"{world.data}:2, ")
    assert "mel frames, answer '" in prompt
    assert "<|audio_bos|><|AUDIO|><|audio_eos|>" in prompt
    assert "Please choose the answer from the following options: ['" in prompt
    assert prompt.rstrip().endswith("<|im_start|>assistant")
    assert not (world.folder / "runs").exists()
    without = harken("train", world.recipe, "--dry-run", "--set", "data.train.0.audio=none")
    assert "0 mel frames" in without.out
    assert "AUDIO" not in without.out.partition("first prompt")[2]


def test_a_run_says_what_it_reads_and_how_far_it_is_in_plain_lines(runs):
    for name, label in (("sft", "sft"), ("train", "grpo")):
        out = runs[name].out
        assert "data: 24 records, 24 kept, 0 rejected" in out
        assert "to train on" in out
        assert f"{label} 1/2" in out
        assert f"{label} 2/2" in out
        assert "s left" in out
        assert "checkpoint: " in out
        assert "\x1b" not in out
        assert "\r" not in out


def test_the_run_folder_holds_what_the_design_says(runs, world):
    run = world.folder / "grpo"
    names = {path.name for path in run.iterdir()}
    assert {"config.yaml", "environment.json", "rejected.jsonl", "metrics.jsonl", "rollouts", "checkpoints"} <= names
    assert yaml.safe_load((run / "config.yaml").read_text())["model"]["path"] == str(world.folder / "sft")
    metrics = rows_of(run / "metrics.jsonl")
    assert [row["step"] for row in metrics] == [1, 2]
    for name in (
        *("reward/mean", "reward/accuracy", "reward/std_in_group", "reward/equal_groups", "loss/kl", "policy/entropy"),
        *("completion/length_mean", "completion/truncated", "rollout/logp_gap_mean", "optim/learning_rate"),
    ):
        assert all(isinstance(row[name], float) for row in metrics), name
    assert [row["optim/learning_rate"] for row in metrics] == [1e-4, 0.5e-4]
    assert max(row["rollout/logp_gap_max"] for row in metrics) < 1e-4
    assert "dev/accuracy" not in metrics[0]
    assert metrics[1]["dev/low"] <= metrics[1]["dev/accuracy"] <= metrics[1]["dev/high"]
    rollouts = rows_of(run / "rollouts" / "step_000002.jsonl")
    assert len(rollouts) == 6
    assert {"id", "g", "completion", "choice", "answer", "reward", "advantage"} <= rollouts[0].keys()
    assert [path.name for path in (run / "checkpoints").glob("step_*")] == ["step_000002"]
    assert list((run / "tensorboard").glob("events.*"))
    assert rows_of(run / "rejected.jsonl") == []


def test_evaluations_hold_every_question_with_and_without_audio(runs, world):
    for name in ("test", "test-no-audio"):
        folder = world.folder / "grpo" / "eval" / name
        rows = rows_of(folder / "predictions.jsonl")
        summary = json.loads((folder / "summary.json").read_text())
        assert [row["id"] for row in rows] == [f"demo-test-{i:05d}" for i in range(12)]
        assert summary["n"] == summary["accuracy"]["all"]["n"] == 12
        assert summary["audio"] == ("real" if name == "test" else "none")
        assert summary["chance"] == 0.25
        assert summary["accuracy"]["all"]["mean"] == sum(row["correct"] for row in rows) / 12
    assert "test.json, with audio" in runs["grpo test"].out
    assert "test.json, without audio" in runs["grpo test-no-audio"].out
    assert "12/12" in runs["grpo test"].out


def test_a_comparison_is_a_table_or_markdown(runs):
    assert "gain, points" in runs["compare"].out
    assert runs["markdown"].out.startswith("| questions | n | before, % | after, % | gain, points | p |\n| --- |")
    assert "| all | 12 |" in runs["markdown"].out


def test_ask_answers_with_the_clip_and_without_it(runs):
    lines = runs["ask"].out.splitlines()
    assert lines[0].startswith("with the clip:    ")
    assert lines[1].startswith("without the clip: ")
    assert all(" -> " in line for line in lines)


def test_doctor_says_whether_the_model_hears(runs):
    assert "qwen2_5_omni" in runs["doctor"].out.replace("\n", "")
    assert "changes: " in runs["doctor"].out
    assert harken("doctor").code == 0


def test_an_evaluation_is_never_written_over_another(runs, world):
    folder = world.folder / "grpo" / "eval" / "test"
    before = (folder / "predictions.jsonl").read_bytes()
    result = harken("evaluate", "--model", world.model, "--data", world.data, "--out", folder)
    assert result.code == 2
    assert f"{folder}" in result.err.replace("\n", "")
    assert "choose another" in result.err
    assert (folder / "predictions.jsonl").read_bytes() == before
