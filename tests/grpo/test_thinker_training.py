"""Audio-Thinker in training: SFT of a model that reasons in half of its answers, then GRPO with a judge."""

import json
import threading
from collections import Counter
from concurrent.futures import Future
from pathlib import Path

import pytest
from interrupted_runs import run_until
from scripted_server import Received, Scripted, said, serving
from small_runs import differences, metric_rows, quiet_console, read_run
from thinker_runs import OVERALL, judge_endpoint, score_by_prompt, thinker_recipe, write_questions
from tiny_models import tiny_folder

import harken.grpo.step
from harken.config import EvaluationRecipe
from harken.errors import DataError, JudgeError
from harken.evaluation.evaluate import evaluate
from harken.grpo.loop import train
from harken.judges import Verdict
from harken.rewards import penalty_factors, think_accuracy
from harken.training.run_folder import RunFolder
from harken.training.sft import sft


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    """A model that reasons in about half of its answers."""
    folder = tmp_path_factory.mktemp("start")
    data = write_questions(folder / "sft.jsonl", "it is a digit", "a word", "that is one", "", "", "")
    return sft(thinker_recipe(tiny_folder("qwen2_5_omni"), data), folder / "run", quiet_console())


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_questions(tmp_path_factory.mktemp("data") / "grpo.jsonl", "")


def rollouts(run: Path) -> list[dict]:
    lines = [line for file in sorted((run / "rollouts").iterdir()) for line in file.read_text().splitlines()]
    return [json.loads(line) for line in lines]


def test_sft_teaches_both_forms_and_evaluation_can_force_either(start, data, tmp_path):
    forms = {}
    for force in ("think", "no_think"):
        values = {
            **{"model": str(start), "data": {"reader": "manifest", "file": str(data)}, "prompt": {"style": "adaptive"}},
            **{"max_completion_tokens": 12, "force": force},
        }
        summary = evaluate(EvaluationRecipe.model_validate(values), tmp_path / force)
        rows = [json.loads(line) for line in (tmp_path / force / "predictions.jsonl").read_text().splitlines()]
        forms[force] = [row["form"] for row in rows]
        first = {"think": "<think>", "no_think": "<answer>"}[force]
        assert all(row["completion"].startswith(first) for row in rows)
        assert summary["forms"] == {force: 3}
        assert summary["no_think"]["hard"]["mean"] == float(force == "no_think")
        assert summary["force"] == force
    assert forms == {"think": ["think"] * 3, "no_think": ["no_think"] * 3}
    assert {row["reasoning"] for row in rows} == {""}
    assert [row["extracted"] for row in rows] == [row["completion"][8:-9] for row in rows]


def test_a_record_that_has_no_reasoning_to_train_on_is_rejected_where_thinking_is_asked_for(tmp_path):
    file = write_questions(tmp_path / "sft.jsonl", "it is a digit", "", "</think>")
    plan = thinker_recipe(tiny_folder("qwen2_5_omni"), file, prompt={"style": "r1_aqa_think"})
    with pytest.raises(DataError, match=r"6 of 9 records cannot be used[\s\S]*sft\.jsonl:2: .*the record holds none"):
        sft(plan, tmp_path / "run", quiet_console())
    listed = [json.loads(line) for line in (tmp_path / "run" / "rejected.jsonl").read_text().splitlines()]
    assert [record["line"] for record in listed] == [2, 3, 5, 6, 8, 9]
    assert "would be malformed" in listed[1]["reason"]


def test_a_judges_scores_enter_the_reward_as_in_the_equation(start, data, tmp_path):
    with serving(score_by_prompt) as server:
        plan = thinker_recipe(start, data, OVERALL, judge_endpoint(server.url))
        train(plan, tmp_path / "run", quiet_console())
    rows, metrics = rollouts(tmp_path / "run"), metric_rows(tmp_path / "run")
    assert {row["form"] for row in rows} >= {"think", "no_think"}
    for step in range(4):
        step_rows = rows[12 * step : 12 * (step + 1)]
        thought = [row for row in step_rows if row["form"] == "think"]
        quality = [row["judged"]["quality"] for row in thought]
        assert metrics[step]["judge/asked"] == 2 * len(thought)
        assert metrics[step]["judge/failed"] == 0
        assert metrics[step]["judge/quality"] == pytest.approx(sum(quality) / len(quality))
        for row in step_rows:
            assert (row["judged"] == {}) == (row["form"] != "think")
            assert row["rewards"]["format"] == float(row["form"] != "malformed")
            r_c = {"think": row["judged"].get("consistency"), "no_think": 1.0, "malformed": 0.0}[row["form"]]
            r_t = {"think": row["judged"].get("quality"), "no_think": sum(quality) / len(quality), "malformed": 0.0}
            r_a = think_accuracy(row["form"], row["correct"], penalty_factors(metrics[step]["think/lambda"], step / 4))
            r_f = 0.5 * (row["form"] != "malformed")
            assert row["reward"] == pytest.approx(r_a * (1 + 0.5 * r_c) + r_f + r_t[row["form"]])
    prompts = [request.body["prompt"] for request in server.received]
    assert len(set(prompts)) == len(prompts)
    assert (tmp_path / "run" / "judge" / "replies.jsonl").exists()


def test_lambda_is_the_share_over_the_whole_step_and_not_of_a_micro_batch(start, data, tmp_path):
    train(thinker_recipe(start, data, {"parts": [{"name": "adaptive"}]}), tmp_path / "run", quiet_console())
    rows = rollouts(tmp_path / "run")
    for step, metrics in enumerate(metric_rows(tmp_path / "run")):
        forms = Counter(row["form"] for row in rows[12 * step : 12 * (step + 1)])
        share = forms["think"] / (forms["think"] + forms["no_think"])
        assert metrics["think/rate"] == share
        assert metrics["think/lambda"] == pytest.approx(share)
        assert metrics["think/malformed"] == pytest.approx(forms["malformed"] / 12)
        values = [row["rewards"]["adaptive"] for row in rows[12 * step : 12 * (step + 1)]]
        assert metrics["reward/adaptive"] == pytest.approx(sum(values) / 12)
        assert metrics["reward/adaptive_zero"] == pytest.approx(sum(value == 0 for value in values) / 12)


def test_a_run_with_a_judge_resumes_as_if_never_stopped_and_repeats_no_request(start, data, tmp_path, monkeypatch):
    with serving(score_by_prompt) as server:
        train(thinker_recipe(start, data, OVERALL, judge_endpoint(server.url)), tmp_path / "whole", quiet_console())
    with serving(score_by_prompt) as second:
        plan = thinker_recipe(start, data, OVERALL, judge_endpoint(second.url))
        run_until("grpo", plan, tmp_path / "run", 3, monkeypatch)
        calls_before = len(second.received)
        train(plan, tmp_path / "run", quiet_console(), resume=True)
    runs = [read_run(tmp_path / name) for name in ("whole", "run")]
    for run in runs:  # written as they come back
        run["judge/replies.jsonl"] = sorted(run["judge/replies.jsonl"].splitlines())
    assert differences(*runs) == []
    assert 0 < calls_before < len(second.received)
    prompts = [request.body["prompt"] for request in second.received]
    assert len(set(prompts)) == len(prompts)
    assert set(prompts) == {request.body["prompt"] for request in server.received}


class LateJudge:
    """Answers nothing until `answer` is called; then half of the calls fail."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.calls: list[tuple[str, Future[Verdict]]] = []

    def submit(self, aspect, question, reasoning, answer) -> Future[Verdict]:
        assert not self.released.is_set(), "called after the reference pass"
        verdict: Future[Verdict] = Future()
        self.calls.append((aspect, verdict))
        return verdict

    def answer(self) -> None:
        self.released.set()
        for index, (_, verdict) in enumerate(self.calls):
            verdict.set_result(Verdict(None, "slow: 5 s") if index % 2 else Verdict(1.0, ""))

    def close(self) -> None:
        assert self.released.is_set()


def test_judges_are_called_before_the_reference_pass_and_waited_for_after_it(start, data, tmp_path, monkeypatch):
    """The judge answers once the reference has scored, so waiting for it earlier would never end."""
    judge, score = LateJudge(), harken.grpo.step.score_with_reference

    def score_and_release(*arguments):
        scored = score(*arguments)
        judge.answer()
        return scored

    monkeypatch.setattr("harken.grpo.rewarding.open_judge", lambda config, folder: judge)
    monkeypatch.setattr("harken.training.early_checks.refuse_unreachable", lambda config, key: None)
    monkeypatch.setattr(harken.grpo.step, "score_with_reference", score_and_release)
    plan = thinker_recipe(start, data, OVERALL, judge_endpoint("http://127.0.0.1:1/v1", max_failed_share=0.6))
    train(
        plan.model_copy(update={"grpo": plan.grpo.model_copy(update={"steps": 1})}), tmp_path / "run", quiet_console()
    )
    (metrics,) = metric_rows(tmp_path / "run")
    assert metrics["judge/asked"] == len(judge.calls) > 2
    assert metrics["judge/failed"] == len(judge.calls) // 2
    assert metrics["judge/failed_share"] == metrics["judge/failed"] / metrics["judge/asked"]


def test_failures_do_not_shift_the_mean_quality(start, data, tmp_path):
    """A third of the calls fail and the others score 1, so every valid completion of a step has quality 1."""
    failed = Counter()

    def flaky(request: Received) -> Scripted:
        failed["calls"] += 1
        return said("no idea") if failed["calls"] % 3 == 0 else said(" 1\n")

    with serving(flaky) as server:
        train(
            thinker_recipe(start, data, OVERALL, judge_endpoint(server.url, max_failed_share=0.9)),
            tmp_path / "run",
            quiet_console(),
        )
    metrics = metric_rows(tmp_path / "run")
    assert sum(row["judge/failed"] for row in metrics) > 0
    assert sum("judge/quality" in row for row in metrics) > 1
    for r, row in enumerate(rollouts(tmp_path / "run")):
        assert metrics[r // 12].get("judge/quality", 1.0) == 1.0
        readable = "judge/quality" in metrics[r // 12]
        assert row["rewards"]["quality"] == float(readable and row["form"] != "malformed")


def test_a_judge_that_fails_stops_the_run_with_what_to_do(start, data, tmp_path):
    many = {"steps": 1, "prompts_per_step": 3, "completions_per_prompt": 24, "max_completion_tokens": 12}
    with serving(lambda request: Scripted(b"", status=500)) as server:
        plan = thinker_recipe(start, data, OVERALL, judge_endpoint(server.url), grpo=many)
        with pytest.raises(JudgeError, match=r"judge: \d+ of \d+ calls failed \(100%, limit 20%\)"):
            train(plan, tmp_path / "run", quiet_console())
    assert not RunFolder(tmp_path / "run").checkpoints()


def test_a_user_s_function_is_a_part_of_the_reward_in_training(start, data, tmp_path, monkeypatch):
    (tmp_path / "own_reward.py").write_text("def words(response):\n    return len(response.reasoning.split())\n")
    monkeypatch.syspath_prepend(tmp_path)
    parts = [{"name": "accuracy"}, {"name": "own_reward:words", "weight": 0.5}]
    train(thinker_recipe(start, data, {"parts": parts}), tmp_path / "run", quiet_console())
    for row in rollouts(tmp_path / "run"):
        assert row["rewards"]["own_reward:words"] == len(row["reasoning"].split())
        assert row["reward"] == row["rewards"]["accuracy"] + 0.5 * row["rewards"]["own_reward:words"]
    assert "reward/own_reward:words_zero" in metric_rows(tmp_path / "run")[0]
