"""Options of `harken evaluate` and `harken train` reach the recipe and change what is done."""

import json

import pytest
from cli_world import rows_of
from command_line import harken
from scripted_server import said as text_reply
from scripted_server import serving


def test_an_evaluation_of_a_part_in_several_ways(world, tmp_path):
    test, words = world.test, ["--max-completion-tokens", 2, "--limit", 3]
    words = ["evaluate", "--model", world.model, "--data", test, *words]
    result = harken(*words, "--out", tmp_path / "a", "--samples", 2, "--temperature", 1, "--audio", "noise")
    assert result.code == 0, result.err
    assert "test.json, noise audio" in result.out
    assert "pass@2" in result.out
    task = json.loads(test.read_text())[0]["task"]
    result = harken(*words, "--out", tmp_path / "b", "--permute", 2, "--subset", f"task={task}", "--style", "airbench")
    assert "same choice in all orders" in result.out
    result = harken(*words, "--out", tmp_path / "c", "--listening")
    assert "Audio gain (real minus none)" in " ".join(result.out.split())
    assert "15/15" in result.out
    assert len(rows_of(tmp_path / "c" / "listening.jsonl")) == 3
    result = harken(*words, "--out", tmp_path / "a", "--audio", "silence")
    assert "data.audio: 'noise' in the folder, 'silence' now" in result.err


def test_a_served_model_is_evaluated_by_its_address_and_name(world, tmp_path, monkeypatch):
    monkeypatch.setenv("SERVER_KEY", "sk-secret")
    test = world.test
    with serving(lambda request: text_reply("bell")) as server:
        words = ["--endpoint", server.url, "--served-model", "omni", "--api-key-env", "SERVER_KEY", "--concurrency", 2]
        result = harken("evaluate", "--data", test, "--out", tmp_path / "out", "--limit", 4, *words)
    assert result.code == 0, result.err
    assert {request.headers["authorization"] for request in server.received} == {"Bearer sk-secret"}
    assert server.received[0].body["messages"][0]["content"][0]["type"] == "input_audio"
    kept = "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    assert "sk-secret" not in kept + result.out
    assert rows_of(tmp_path / "out" / "predictions.jsonl")[0]["completion"] == "bell"


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
    result = harken("train", world.recipe, "--out", tmp_path / "run", *values)
    assert result.code == 0, result.err
    ids = {row["id"] for row in rows_of(tmp_path / "run" / "rollouts" / "step_000001.jsonl")}
    assert len(ids) == 4 if kind == "text only" else 8
    n = {"without audio": 24, "text only": 4, "mixed": 28}[kind]
    assert f"data: {n} records, {n} kept, 0 rejected" in result.out
