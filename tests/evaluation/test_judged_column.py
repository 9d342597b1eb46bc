"""A judge's column stands beside the grader's and does not change it."""

import json

from scripted_server import Received, Scripted, said, serving
from tiny_models import tiny_folder

from harken.config import EvaluationRecipe
from harken.data.manifest import write_manifest
from harken.evaluation.evaluate import evaluate
from harken.results.evaluation_tables import summary_table
from harken.types import Question


def questions() -> list[Question]:
    return [Question(f"q{i}", f"Which digit is number {i}?", ("one", "two", "three"), 1, None) for i in range(6)]


def recipe(data, url: str | None) -> EvaluationRecipe:
    judge = {"endpoint": {"base_url": url, "model": "j", "api": "completion", "retries": 0}} if url else None
    values = {"model": str(tiny_folder("qwen2_5_omni")), "data": {"reader": "manifest", "file": str(data)}}
    return EvaluationRecipe.model_validate({**values, "max_completion_tokens": 4, "judge": judge})


def test_the_judges_column_is_its_own_and_failures_count_as_wrong(tmp_path):
    write_manifest(tmp_path / "q.jsonl", questions())

    def reply(request: Received) -> Scripted:
        prompt = request.body["prompt"]
        if "number 5" in prompt:
            return Scripted(b"out of order", status=503)
        return said("7" if "number 4" in prompt else "1" if "number 0" in prompt else "0")

    plain = evaluate(recipe(tmp_path / "q.jsonl", None), tmp_path / "plain")
    with serving(reply) as server:
        summary = evaluate(recipe(tmp_path / "q.jsonl", server.url), tmp_path / "judged")
    assert len(server.received) == 6
    assert all("two" in request.body["prompt"] for request in server.received)  # this judge sees the reference
    assert summary["accuracy"] == plain["accuracy"]
    assert "judged" not in plain
    assert summary["judged"]["accuracy"]["mean"] == 1 / 6
    assert (summary["judged"]["n_asked"], summary["judged"]["n_failed"]) == (6, 2)
    rows = [json.loads(line) for line in (tmp_path / "judged" / "predictions.jsonl").read_text().splitlines()]
    assert [row["judged"] for row in rows] == [True, False, False, False, None, None]
    assert rows[4]["judge_reason"].startswith("not 1 or 0")
    assert "503" in rows[5]["judge_reason"]
    assert "a judge finds 16.7" in str(summary_table("t", summary).caption)
