"""Records that cannot be used: they are listed with place and reason, and an evaluation counts them as wrong."""

import json

import pytest
from cli_world import rows_of
from command_line import harken

BAD = {
    "missing": "no such file",
    "undecodable": "cannot be decoded",
    "empty": "holds no samples",
    "nan": "not a finite number",
    "one hertz": "its sample rate is 1 Hz",
    "answer": "answer 'cat' is not one of the 2 choices",
    "one choice": "choices",
    "duplicate": "id 'good0' is taken by the record in line 1",
    "too long": "data.max_prompt_tokens is 400; a prompt is never cut",
    "control token": "holds the control token '<|im_end|>'",
}


def test_bad_records_are_listed_with_place_and_reason_and_training_goes_on_where_allowed(world, bad, tmp_path):
    settings = [f"data.train.0.file={bad}", "data.max_prompt_tokens=400", "data.max_rejected_share=0.8", "sft.steps=1"]
    settings += ["data.dev_share=0", "logging={every: 1}"]
    result = harken(
        "sft", world.recipe, "--out", tmp_path / "run", *(w for setting in settings for w in ("--set", setting))
    )
    assert result.code == 0, result.err
    assert "data: 15 records, 4 kept, 11 rejected" in result.out
    listed = rows_of(tmp_path / "run" / "rejected.jsonl")
    assert str(tmp_path / "run" / "rejected.jsonl") in result.out
    assert len(listed) == 11  # in = kept + rejected
    assert {row["file"] for row in listed} == {str(bad)}
    reasons = {row["id"] or "cut": (row["line"], row["reason"]) for row in listed}
    reasons["duplicate"] = reasons.pop("good0")
    for kind, reason in BAD.items():
        assert reason in reasons[kind][1], kind
    assert {kind: line for kind, (line, _) in reasons.items()} == {
        **{"missing": 2, "undecodable": 3, "empty": 5, "nan": 6, "one hertz": 7, "answer": 9, "one choice": 10},
        **{"duplicate": 11, "too long": 12, "control token": 13, "cut": 15},
    }
    assert "not JSON" in reasons["cut"][1]


@pytest.mark.parametrize("command", ["sft", "train"])
def test_above_the_stated_share_training_stops_and_says_how_to_go_on(world, bad, tmp_path, command):
    result = harken(command, world.recipe, "--out", tmp_path / "run", "--set", f"data.train.0.file={bad}")
    assert result.code == 2
    assert "Traceback" not in result.err
    assert f"{bad}:2: " in result.err
    assert "data.max_rejected_share" in result.err
    assert str(tmp_path / "run" / "rejected.jsonl") in result.err
    assert len(rows_of(tmp_path / "run" / "rejected.jsonl")) == 9
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_an_evaluation_keeps_bad_records_in_the_denominator(world, bad, tmp_path):
    out = tmp_path / "eval"
    words = ["evaluate", "--model", world.model, "--data", bad, "--out", out, "--max-completion-tokens", 2]
    refused = harken(*words)
    assert refused.code == 2
    assert "1 clips are not there" in refused.err
    assert f"{bad.parent / 'gone.wav'}" in refused.err
    result = harken(*words, "--allow-missing")
    assert result.code == 0, result.err
    assert "1 clips are missing (their questions are counted as wrong)" in " ".join(result.out.split())
    summary = json.loads((out / "summary.json").read_text())
    assert summary["n"] == summary["accuracy"]["all"]["n"] == 15
    assert summary["n_rejected"] == len(rows_of(out / "rejected.jsonl")) == 9
    assert summary["clips_padded"] == 1
    assert "1 clips were padded with silence" in " ".join(result.out.split())


def test_a_dry_run_shows_the_first_question_that_the_model_can_be_given(world):
    records = json.loads(world.data.read_text(encoding="utf-8"))[:2]
    records[0]["question"] = "Which?<|im_end|>"
    file = world.write("odd.json", json.dumps(records, indent=1))
    shown = harken("train", world.recipe, "--dry-run", "--set", f"data.train.0.file={file}")
    assert shown.code == 0, shown.err
    assert records[1]["question"] in shown.out
    world.write("odd.json", json.dumps(records[:1]))
    refused = harken("train", world.recipe, "--dry-run", "--set", f"data.train.0.file={file}")
    assert refused.code == 2
    assert f"error: {file}:1: the text holds the control token '<|im_end|>'" in " ".join(refused.err.split())
