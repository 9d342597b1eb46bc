"""The judge's column of `harken score`: beside the other figures, by group, with failures and gaps counted as wrong."""

import json

import yaml
from benchmark_files import KEY, mmau_records, write
from command_line import harken, refused_by
from scripted_server import Received, Scripted, said, serving


def files(folder, url):
    """Four questions: the judge is asked about three of them, because one has no prediction."""
    records = mmau_records(4)
    texts = [f"It is surely {record['answer']}, part {i}" for i, record in enumerate(records[:3])]
    predictions = [{"id": record["id"], KEY["mmau"]: text} for record, text in zip(records, texts, strict=False)]
    judge = {"endpoint": {"base_url": url, "model": "j", "api": "completion", "retries": 0}}
    (folder / "judge.yaml").write_text(yaml.safe_dump({"judge": judge}))
    return write(folder / "mmau.json", records), write(folder / "predictions.json", predictions), folder / "judge.yaml"


def reply(request: Received) -> Scripted:
    if "part 1" in request.body["prompt"]:
        return Scripted(b"out of order", status=503)
    return said("1")


def test_a_judge_has_a_column_of_its_own_and_is_asked_once(tmp_path):
    with serving(reply) as server:
        data, predictions, judge = files(tmp_path, server.url)
        command = ("score", "--benchmark", "mmau", "--data", data, predictions)
        plain = json.loads(harken(*command, "--json").out)
        result = json.loads(harken(*command, "--judge", judge, "--json").out)
        n_requests = len(server.received)
        table = harken(*command, "--judge", judge)
        assert len(server.received) == n_requests + 1  # only the call that failed is made again
    assert n_requests == 3
    assert result["judged_accuracy"]["value"] == 2 / 4  # questions 0 and 2; 1 failed and 3 has no prediction
    assert (result["n_judged_answers"], result["n_judge_failed"]) == (4, 1)
    assert {label: group["judged_accuracy"]["value"] for label, group in result["by"]["task"].items()} == {
        "music": 0.0,
        "sound": 0.5,
        "speech": 1.0,
    }
    assert "judged_accuracy" not in plain
    assert all(result[key] == plain[key] for key in ("official_accuracy", "choice_accuracy", "n_missing"))
    assert (tmp_path / "predictions.json.judge" / "replies.jsonl").is_file()
    assert "judge, %" in table.out
    assert "1 calls failed (counted as wrong)" in " ".join(table.out.split())
    assert "judge, %" not in harken(*command).out


def test_a_recipe_without_a_judge_is_refused_and_a_submission_has_none(tmp_path):
    data, predictions, judge = files(tmp_path, "http://127.0.0.1:1")
    command = ("score", "--benchmark", "mmau", "--data", data, predictions)
    (tmp_path / "none.yaml").write_text("name: x\n")
    assert "no section judge" in refused_by(*command, "--judge", tmp_path / "none.yaml")
    assert "no --judge" in refused_by(*command, "--judge", judge, "--submission", tmp_path / "out.json")
