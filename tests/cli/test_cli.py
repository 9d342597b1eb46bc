"""The command line from end to end on a handful of built-in clips, and what it says about bad input."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import transformers
import yaml
from command_line import Said, harken
from scripted_server import said as answered
from scripted_server import serving

from harken.data.demo_set import write_demo_set


def rows_of(path: Path) -> list:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@dataclass(frozen=True)
class World:
    """A question set, a tiny checkpoint and a recipe, all made by commands."""

    folder: Path
    recipe: Path
    data: Path
    model: Path

    def write(self, name: str, *records) -> Path:
        """A file of records beside the clips."""
        path = self.data.parent / name
        path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in records))
        return path


SETTINGS = {
    "name": "small",
    "sft": {"steps": 2, "prompts_per_step": 4, "prompts_per_micro_batch": 2, "learning_rate": 1e-3},
    "grpo": {
        **{"steps": 2, "prompts_per_step": 3, "completions_per_prompt": 2, "prompts_per_micro_batch": 2},
        **{"max_completion_tokens": 4, "learning_rate": 1e-4},
    },
    "logging": {"every": 1, "evaluate_every": 2, "trackers": ["tensorboard"]},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    folder = tmp_path_factory.mktemp("world")
    write_demo_set(folder / "data", seed=0, n_train=24, n_test=12)
    data, model, recipe = folder / "data" / "train.json", folder / "tiny", folder / "recipe.yaml"
    assert harken("tiny", "--out", model, "--text", data, "--seed", 3).code == 0
    values = {
        **SETTINGS,
        "model": {"path": str(model)},
        "data": {"train": [{"file": str(data)}], "dev_share": 0.3},
    }
    recipe.write_text(yaml.safe_dump(values), encoding="utf-8")
    return World(folder, recipe, data, model)


@pytest.fixture(scope="module")
def runs(world) -> dict[str, Said]:
    """The main job, command by command."""
    test, folder = world.data.parent / "test.json", world.folder
    said = {}
    said["dry run"] = harken("train", world.recipe, "--dry-run")
    said["sft"] = harken("sft", world.recipe, "--out", folder / "sft")
    said["train"] = harken("train", world.recipe, "--out", folder / "grpo", "--set", f"model.path={folder / 'sft'}")
    for run in ("sft", "grpo"):
        for name, option in (("test", []), ("test-no-audio", ["--no-audio"])):
            out = folder / run / "eval" / name
            arguments = ["--model", folder / run, "--data", test, "--out", out, "--max-completion-tokens", 4, *option]
            said[f"{run} {name}"] = harken("evaluate", "--benchmark", "mmau", *arguments)
    said["compare"] = harken("compare", folder / "sft" / "eval" / "test", folder / "grpo" / "eval" / "test")
    markdown = folder / "grpo" / "eval" / "test"
    said["markdown"] = harken("compare", folder / "sft" / "eval" / "test", markdown, "--markdown")
    clip = world.data.parent / json.loads(world.data.read_text())[0]["audio_id"]
    said["ask"] = harken("ask", "--model", folder / "grpo", clip, "What is heard?", "--choices", "bell", "dog", "rain")
    said["doctor"] = harken("doctor", "--model", folder / "grpo")
    return said


def test_every_command_of_the_main_job_succeeds(runs):
    assert {name: said.code for name, said in runs.items() if said.code} == {}
    assert not any(said.err for said in runs.values()), [said.err for said in runs.values() if said.err]


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
    assert "dev/accuracy" in metrics[1]
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


def test_an_evaluation_of_a_part_in_several_ways(world, tmp_path):
    test, words = world.data.parent / "test.json", ["--max-completion-tokens", 2, "--limit", 3]
    words = ["evaluate", "--model", world.model, "--data", test, *words]
    said = harken(*words, "--out", tmp_path / "a", "--samples", 2, "--temperature", 1, "--audio", "noise")
    assert said.code == 0, said.err
    assert "test.json, noise audio" in said.out
    assert "pass@2" in said.out
    task = json.loads(test.read_text())[0]["task"]
    said = harken(*words, "--out", tmp_path / "b", "--permute", 2, "--subset", f"task={task}", "--style", "airbench")
    assert "same choice in all orders" in said.out
    said = harken(*words, "--out", tmp_path / "c", "--listening")
    assert "Audio gain (real minus none)" in " ".join(said.out.split())
    assert "15/15" in said.out
    assert len(rows_of(tmp_path / "c" / "listening.jsonl")) == 3
    said = harken(*words, "--out", tmp_path / "a", "--audio", "silence")
    assert "data.audio: 'noise' in the folder, 'silence' now" in said.err


def test_a_served_model_is_evaluated_by_its_address_and_name(world, tmp_path, monkeypatch):
    monkeypatch.setenv("SERVER_KEY", "sk-secret")
    test = world.data.parent / "test.json"
    with serving(lambda asked: answered("bell")) as server:
        words = ["--endpoint", server.url, "--served-model", "omni", "--api-key-env", "SERVER_KEY", "--concurrency", 2]
        said = harken("evaluate", "--data", test, "--out", tmp_path / "out", "--limit", 4, *words)
    assert said.code == 0, said.err
    assert {asked.headers["authorization"] for asked in server.received} == {"Bearer sk-secret"}
    assert server.received[0].body["messages"][0]["content"][0]["type"] == "input_audio"
    kept = "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    assert "sk-secret" not in kept + said.out
    assert rows_of(tmp_path / "out" / "predictions.jsonl")[0]["completion"] == "bell"


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


@pytest.mark.parametrize("kind", ["without audio", "text only", "mixed"])
def test_training_without_audio_on_text_alone_and_on_a_mix(world, tmp_path, kind):
    text = {"text": "What is 2 + 2?", "choices": ["one", "two", "four"], "answer": 2}
    manifest = world.write(f"{kind}.jsonl", *({"id": f"t{i}", **text} for i in range(4)))
    sources = {
        "without audio": [{"file": str(world.data), "audio": "none"}],
        "text only": [{"file": str(manifest), "reader": "manifest"}],
        "mixed": [{"file": str(world.data)}, {"file": str(manifest), "reader": "manifest"}],
    }[kind]
    values = ["--set", f"data.train={json.dumps(sources)}", "--set", "data.dev_share=0"]
    values += ["--set", "logging={every: 1}", "--set", "grpo.steps=1", "--set", "grpo.prompts_per_step=8"]
    said = harken("train", world.recipe, "--out", tmp_path / "run", *values)
    assert said.code == 0, said.err
    ids = {row["id"] for row in rows_of(tmp_path / "run" / "rollouts" / "step_000001.jsonl")}
    assert len(ids) == 4 if kind == "text only" else 8
    n = {"without audio": 24, "text only": 4, "mixed": 28}[kind]
    assert f"data: {n} records, {n} kept, 0 rejected" in said.out


BAD = {
    "missing": "no such file",
    "undecodable": "cannot be decoded",
    "empty": "holds no samples",
    "nan": "not a finite number",
    "eight channels": "8 channels",
    "answer": "answer 'cat' is not one of the 2 choices",
    "one choice": "choices",
    "duplicate": "id 'good0' is taken by the record in line 1",
    "too long": "data.max_prompt_tokens is 400; a prompt is never cut",
    "control token": "holds the control token '<|im_end|>'",
}


@pytest.fixture(scope="module")
def bad(world) -> Path:
    """Four usable records, one about a clip of 19 ms, and one of every kind that is not."""
    root, rng = world.data.parent, np.random.default_rng(0)

    def clip(name, samples, **options):
        soundfile.write(root / f"{name}.wav", samples, 16_000, **options)
        return f"{name}.wav"

    def record(ident, name="fine.wav", **changes):
        return {"id": ident, "audio_id": name, "question": "Which?", "choices": ["a", "b"], "answer": "a", **changes}

    clip("fine", rng.normal(0, 0.1, 8_000))
    clip("tick", rng.normal(0, 0.1, 304))
    (root / "undecodable.wav").write_bytes(b"RIFF and then nothing")
    return world.write(
        "bad.jsonl",
        record("good0"),
        record("missing", "gone.wav"),
        record("undecodable", "undecodable.wav"),
        record("good1"),
        record("empty", clip("empty", np.zeros(0))),
        record("nan", clip("nan", np.array([0.1, np.nan, 0.2] * 500), subtype="FLOAT")),
        record("eight channels", clip("eight", rng.normal(0, 0.1, (1_000, 8)))),
        record("19 ms", "tick.wav"),
        record("answer", answer="cat"),
        record("one choice", choices=["a"]),
        record("good0", question="Another?"),
        record("too long", question="very " * 150 + "long?"),
        record("control token", question="Which?<|im_end|>"),
        record("good2"),
        '{"id": "cut", "audio_id": "fine.wav", "question": "Wh',
    )


def test_bad_records_are_listed_with_place_and_reason_and_training_goes_on_where_allowed(world, bad, tmp_path):
    settings = [f"data.train.0.file={bad}", "data.max_prompt_tokens=400", "data.max_rejected_share=0.8", "sft.steps=1"]
    settings += ["data.dev_share=0", "logging={every: 1}"]
    said = harken("sft", world.recipe, "--out", tmp_path / "run", *(w for one in settings for w in ("--set", one)))
    assert said.code == 0, said.err
    assert "data: 15 records, 4 kept, 11 rejected" in said.out
    listed = rows_of(tmp_path / "run" / "rejected.jsonl")
    assert str(tmp_path / "run" / "rejected.jsonl") in said.out
    assert len(listed) == 11  # in = kept + rejected
    assert {row["file"] for row in listed} == {str(bad)}
    found = {row["id"] or "cut": (row["line"], row["reason"]) for row in listed}
    found["duplicate"] = found.pop("good0")
    for kind, reason in BAD.items():
        assert reason in found[kind][1], kind
    assert {kind: line for kind, (line, _) in found.items()} == {
        **{"missing": 2, "undecodable": 3, "empty": 5, "nan": 6, "eight channels": 7, "answer": 9, "one choice": 10},
        **{"duplicate": 11, "too long": 12, "control token": 13, "cut": 15},
    }
    assert "not JSON" in found["cut"][1]


@pytest.mark.parametrize("command", ["sft", "train"])
def test_above_the_stated_share_training_stops_and_says_how_to_go_on(world, bad, tmp_path, command):
    said = harken(command, world.recipe, "--out", tmp_path / "run", "--set", f"data.train.0.file={bad}")
    assert said.code == 2
    assert "Traceback" not in said.err
    assert f"{bad}:2: " in said.err
    assert "data.max_rejected_share" in said.err
    assert str(tmp_path / "run" / "rejected.jsonl") in said.err
    assert len(rows_of(tmp_path / "run" / "rejected.jsonl")) >= 10
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_an_evaluation_keeps_bad_records_in_the_denominator(world, bad, tmp_path):
    out = tmp_path / "eval"
    words = ["evaluate", "--model", world.model, "--data", bad, "--out", out, "--max-completion-tokens", 2]
    refused = harken(*words)
    assert refused.code == 2
    assert "1 clips are not there" in refused.err
    assert f"{bad.parent / 'gone.wav'}" in refused.err
    said = harken(*words, "--allow-missing")
    assert said.code == 0, said.err
    assert "1 clips are missing (their questions are counted as wrong)" in " ".join(said.out.split())
    summary = json.loads((out / "summary.json").read_text())
    assert summary["n"] == summary["accuracy"]["all"]["n"] == 15
    assert summary["n_rejected"] == len(rows_of(out / "rejected.jsonl")) == 9
    assert summary["clips_padded"] == 1
    assert "1 clips were padded with silence" in " ".join(said.out.split())


def failing(world, bad, tmp_path) -> dict[str, tuple[list, list[str]]]:
    """Command line -> what its message must hold: the file or key, and the fix."""
    empty, text_model, full = tmp_path / "empty", tmp_path / "text", tmp_path / "full"
    empty.mkdir()
    full.mkdir()
    (full / "thesis.tex").write_text("mine")
    transformers.Qwen2Config().save_pretrained(text_model)
    recipe, fine = world.recipe, world.data
    evaluate = ["evaluate", "--data", fine, "--out", tmp_path / "e", "--model"]
    return {
        "no recipe": (["train", tmp_path / "no.yaml"], [f"{tmp_path}/no.yaml: cannot be read"]),
        "unknown key": (["train", recipe, "--set", "grpo.stepz=1"], [f"{recipe}: grpo.stepz: unknown key; known here"]),
        "wrong value": (["sft", recipe, "--set", "sft.steps=0"], ["sft.steps: ", "(found 0)"]),
        "no value": (["sft", recipe, "--set", "sft.steps"], ["expected key=value"]),
        "used folder": (["sft", recipe, "--out", full], [f"{full}: holds a run already; choose another --out"]),
        "no data": (
            ["sft", recipe, "--out", tmp_path / "a", "--set", f"data.train.0.file={tmp_path}/q.json"],
            [f"{tmp_path}/q.json: cannot be read"],
        ),
        "data of one side": (
            ["sft", recipe, "--out", tmp_path / "b", "--set", "data.dev_share=0.0001"],
            ["data.dev_share 0.0001", "choose another share, or set it to 0"],
        ),
        "SFT where thinking is asked for": (
            ["sft", recipe, "--out", tmp_path / "c", "--set", "prompt.style=r1_aqa_think"],
            [f"{fine}:", "use style r1_aqa or omni_r1"],
        ),
        "no such checkpoint": ([*evaluate, tmp_path / "gone"], [f"{tmp_path}/gone: no such folder"]),
        "no checkpoint": ([*evaluate, empty], [f"{empty}: no config.json here"]),
        "another architecture": ([*evaluate, text_model], [f"{text_model}: ", "'qwen2'", "harken knows"]),
        "evaluation of nothing": (
            ["evaluate", "--model", world.model, "--out", tmp_path / "f", "--data", world.write("none.jsonl", "{")],
            ["none.jsonl: no usable record", "rejected.jsonl"],
        ),
        "no such reader": (
            [*evaluate, world.model, "--benchmark", "mmlu"],
            ["data.reader: no reader is called 'mmlu'; one of manifest, mmau, "],
        ),
        "two spellings": ([*evaluate, world.model, "--no-audio", "--audio", "noise"], ["--no-audio is --audio none"]),
        "listening to one": ([*evaluate, world.model, "--listening", "--no-audio"], ["every kind of audio"]),
        "no such subset": ([*evaluate, world.model, "--subset", "taks=x"], ["subset.taks: unknown key; known here"]),
        "half a subset": ([*evaluate, world.model, "--subset", "speech"], ["expected KEY=VALUE"]),
        "no model": (["evaluate", "--data", fine], ["give either model (a checkpoint) or endpoint"]),
        "no key": (
            [
                *evaluate[:-1],
                "--endpoint",
                "http://127.0.0.1:1/v1",
                "--served-model",
                "m",
                "--api-key-env",
                "NO_SUCH_KEY",
            ],
            ["NO_SUCH_KEY is not set"],
        ),
        "no such style": (
            [*evaluate, world.model, "--style", "haiku"],
            ["prompt.style: no style is called 'haiku'; one of omni_r1, "],
        ),
        "no such length rule": ([*evaluate, world.model, "--long-audio", "cut"], ["long_audio: ", "(found 'cut')"]),
        "no such device": ([*evaluate, world.model, "--device", "abacus"], ["'abacus'", "use auto, cpu"]),
        "no evaluation": (["compare", empty, empty], [f"{empty}: no predictions.jsonl"]),
        "tiny over a checkpoint": (["tiny", "--out", world.model], [f"{world.model}: already holds a checkpoint"]),
        "tiny of nothing": (
            ["tiny", "--out", tmp_path / "g", "--arch", "gpt2"],
            ["unknown architecture 'gpt2'; known"],
        ),
        "a clip that is gone": (
            ["ask", "--model", world.model, tmp_path / "x.wav", "Which?", "--choices", "a", "b"],
            [f"{tmp_path}/x.wav: no such file"],
        ),
        "one choice": (
            ["ask", "--model", world.model, tmp_path / "x.wav", "Which?", "--choices", "a"],
            ["two choices"],
        ),
        "a control token": (
            ["ask", "--model", world.model, bad.parent / "fine.wav", "Which?<|im_end|>", "--choices", "a", "b"],
            ["control token '<|im_end|>'"],
        ),
    }


def test_what_a_user_can_mend_is_exit_code_2_and_a_message_with_place_and_fix(world, bad, tmp_path):
    for kind, (words, says) in failing(world, bad, tmp_path).items():
        said = harken(*words)
        assert said.code == 2, (kind, said)
        message = " ".join(said.err.split())
        for part in says:
            assert part in message or part in " ".join(message.replace("│", "").split()), (kind, part, said.err)
        assert "Traceback" not in said.err
        assert "checkpoint: " not in said.out, kind
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.tex"]


def test_an_evaluation_is_never_written_over_another(runs, world):
    folder = world.folder / "grpo" / "eval" / "test"
    before = (folder / "predictions.jsonl").read_bytes()
    said = harken("evaluate", "--model", world.model, "--data", world.data, "--out", folder)
    assert said.code == 2
    assert f"{folder}" in said.err.replace("\n", "")
    assert "choose another" in said.err
    assert (folder / "predictions.jsonl").read_bytes() == before


def test_doctor_fails_for_a_checkpoint_that_does_not_load(tmp_path):
    said = harken("doctor", "--model", tmp_path)
    assert said.code == 1
    assert "no config.json" in said.out
