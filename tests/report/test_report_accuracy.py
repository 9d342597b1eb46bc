"""Run folders written by hand: how they are read, how evaluations become before and after, and the facts of a run."""

import os

import pytest
from report_runs import metric_rows, prediction, write_demo, write_evaluation, write_run

from harken.errors import DataError
from harken.report.accuracy import accuracy_table, seed_comparisons
from harken.report.facts import progress_line, run_facts, run_names, shared_facts_first
from harken.report.question_sets import AFTER, BEFORE, question_sets
from harken.report.run import read_run, read_start_evaluations
from harken.report.run_files import read_rows
from harken.system.files import write_json, write_text
from harken.system.run_files import METRICS


def test_a_run_is_read_back(tmp_path):
    run = read_run(write_demo(tmp_path))
    assert run.path == tmp_path / "grpo"
    assert [step for step, _ in run.rollouts] == [10, 20, 31]
    assert len(run.metrics) == 40
    assert [evaluation.name for evaluation in run.evaluations] == ["test", "test-no-audio"]
    assert [evaluation.audio for evaluation in run.evaluations] == ["real", "none"]
    assert run.audio_roots == [tmp_path / "data"]


def test_half_a_last_line_is_left_for_later_and_read_when_it_is_whole(tmp_path):
    path = write_run(tmp_path / "run", metrics=metric_rows(2))
    with (path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "rew')
    assert [row["step"] for row in read_run(path).metrics] == [1, 2]
    with (path / "metrics.jsonl").open("a") as file:
        file.write('ard/mean": 1}\n')
    assert [row["step"] for row in read_run(path).metrics] == [1, 2, 3]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("metrics.jsonl", '{"step": 1}\n{"step":\n', r"metrics\.jsonl:2: not JSON"),
        ("metrics.jsonl", "[1]\n", r"metrics\.jsonl:1: expected a JSON object, found list"),
        ("metrics.jsonl", "[" * 100_000 + "\n", r"metrics\.jsonl:1: nested too deeply"),
        ("environment.json", "{", r"environment\.json: not JSON"),
        ("environment.json", "3", r"environment\.json: expected a JSON object, found int"),
        ("config.yaml", "a: [", r"config\.yaml: not YAML"),
        ("config.yaml", "- a", r"config\.yaml: a recipe is a mapping of keys, found list"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path, file, content, message):
    path = write_run(tmp_path / "run")
    write_text(path / file, content)
    with pytest.raises(DataError, match=message):
        read_run(path)


def test_a_folder_that_is_no_run_and_a_link_that_leads_out_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"no config\.yaml; give the folder of a run"):
        read_run(tmp_path)
    path = write_run(tmp_path / "run")
    write_text(tmp_path / "elsewhere.jsonl", "{}\n")
    (path / "metrics.jsonl").unlink()
    (path / "metrics.jsonl").symlink_to(tmp_path / "elsewhere.jsonl")
    with pytest.raises(DataError, match="leads out of"):
        read_run(path)
    (tmp_path / "alias").symlink_to(path)
    with pytest.raises(DataError, match="leads out of"):
        read_run(tmp_path / "alias")
    (path / "metrics.jsonl").unlink()
    assert read_run(tmp_path / "alias").path == path


def test_an_unfinished_evaluation_is_not_read_and_one_without_a_key_is_an_error(tmp_path):
    path = write_run(tmp_path / "run")
    write_text(path / "eval" / "test" / "predictions.jsonl", '{"id": "1"}\n')
    assert read_run(path).evaluations == []
    write_json(path / "eval" / "test" / "summary.json", {})
    with pytest.raises(DataError, match=r"predictions\.jsonl:1: key 'clip' is missing"):
        read_run(path)


def test_before_is_found_in_the_run_that_this_one_started_from(tmp_path):
    run = read_run(write_demo(tmp_path))
    assert {evaluation.path for evaluation in read_start_evaluations(run)} == {
        tmp_path / "sft/eval/test",
        tmp_path / "sft/eval/test-no-audio",
    }
    (questions,) = question_sets(run)
    assert questions.name == "test.json"
    assert {key: evaluation.path.parts[-3] for key, evaluation in questions.evaluations.items()} == {
        (BEFORE, "real"): "sft",
        (BEFORE, "none"): "sft",
        (AFTER, "real"): "grpo",
        (AFTER, "none"): "grpo",
    }
    (alone,) = question_sets(run, within=run.path)
    assert {when for when, _ in alone.evaluations} == {AFTER}


def test_an_evaluation_of_the_starting_model_in_the_runs_own_folder_is_before(tmp_path):
    path = write_run(tmp_path / "run", model="Org/base-7B")
    write_evaluation(path, "base", [prediction("1", correct=False)], model="Org/base-7B")
    write_evaluation(path, "trained", [prediction("1", correct=True)], model=str(path))
    (line,) = accuracy_table("run", question_sets(read_run(path))[0]).lines[:1]
    assert (line.before.mean, line.after.mean, line.gain.mean) == (0.0, 1.0, 1.0)


def test_of_two_evaluations_after_the_one_written_last_counts(tmp_path):
    path = write_run(tmp_path / "run")
    write_evaluation(path, "a-late", [prediction("1", correct=True)], model="late")
    write_evaluation(path, "b-early", [prediction("1", correct=False)], model="early")
    os.utime(path / "eval" / "b-early" / "summary.json", (1, 1))
    (questions,) = question_sets(read_run(path))
    assert questions.evaluations[AFTER, "real"].name == "a-late"


def test_a_table_holds_before_after_paired_gain_and_audio_gain(tmp_path):
    table = accuracy_table("grpo", question_sets(read_run(write_demo(tmp_path)))[0])
    lines = {line.group: line for line in table.lines}
    assert list(lines) == ["all", "sound", "speech", "easy", "hard", "sound easy", "speech hard"]
    whole = lines["all"]
    assert (whole.n, whole.chance) == (8, 0.5)
    assert (whole.before.mean, whole.after.mean) == (4 / 8, 5 / 8)
    assert whole.gain.mean == pytest.approx(1 / 8)
    assert (whole.before_without_audio.mean, whole.after_without_audio.mean) == (2 / 8, 1 / 8)
    assert whole.audio_gain.mean == pytest.approx(4 / 8)
    assert (whole.gain.n, whole.gain.clusters) == (8, 8)
    assert table.faults == []
    assert table.no_think == []


def test_answers_that_are_hidden_are_a_fault_on_the_page_and_no_error(tmp_path):
    path = write_run(tmp_path / "run", model="base")
    for name, model in (("a", "base"), ("b", "trained")):
        write_evaluation(path, name, [{**prediction("1", correct=True), "correct": None}], model=model)
    table = accuracy_table("run", question_sets(read_run(path))[0])
    assert table.faults == ["the benchmark hides its answers, so there is nothing to compare"]
    assert table.lines[0].before is None


def test_the_no_think_rate_is_of_valid_forms_by_difficulty(tmp_path):
    texts = ["<answer>a dog</answer>", "<think>bark</think><answer>a dog</answer>", "a dog", "<answer>a dog</answer>"]
    path = write_run(tmp_path / "run")
    rows = [prediction(str(i), correct=True, completion=text, difficulty="hard") for i, text in enumerate(texts)]
    rows.append(prediction("5", correct=True, completion="<answer>a dog</answer>"))
    write_evaluation(path, "test", rows, model="trained")
    rates = accuracy_table("run", question_sets(read_run(path))[0]).no_think
    assert [(rate.label, rate.before, rate.after.n, rate.after.mean) for rate in rates] == [
        ("easy", None, 1, 1.0),
        ("hard", None, 3, pytest.approx(2 / 3)),
    ]


def test_runs_on_the_same_questions_have_a_line_over_all(tmp_path):
    sets = []
    for seed, right in (("seed0", "12"), ("seed1", "1")):
        path = write_run(tmp_path / seed, model="base")
        write_evaluation(path, "before", [prediction(i, correct=False) for i in "12"], model="base")
        write_evaluation(path, "after", [prediction(i, correct=i in right) for i in "12"], model=seed)
        sets += question_sets(read_run(path))
    assert seed_comparisons(sets)[0].gain.mean == 0.75
    assert seed_comparisons(sets[:1]) == []


def test_facts_say_what_was_run_and_on_what(tmp_path):
    run = read_run(write_demo(tmp_path))
    facts = dict(run_facts("demo/grpo", run)["facts"])
    assert facts["method"] == "GRPO"
    assert facts["steps"] == "40 of 40"
    assert facts["each step"] == "2 questions × 2 completions"
    assert facts["rewards"] == "accuracy × 1"
    assert facts["hardware"] == "2 × GPU X"
    assert facts["started"] == "2026-01-02 03:04 UTC"
    assert facts["commit"] == "0123abcd"
    assert facts["time in training steps"] == "20 s"
    assert facts["data"] == str(tmp_path / "data" / "train.json")
    assert progress_line(run) == "step 40, 3 kept rollouts, 2 evaluations"


def test_rewards_are_read_from_the_parts_that_a_run_writes_and_from_the_mapping_of_older_runs(tmp_path):
    path = write_run(tmp_path / "run")
    for reward in (
        {"accuracy": 1.0, "format": 0.5},
        {"parts": [{"name": "accuracy", "weight": 1.0, "options": None}, {"name": "format", "weight": 0.5}]},
    ):
        write_run(path, reward=reward)
        assert dict(run_facts("run", read_run(path))["facts"])["rewards"] == "accuracy × 1, format × 0.5"


def test_a_run_without_a_gpu_shows_its_processor_and_threads(tmp_path):
    path = write_run(tmp_path / "run")
    for threads, hardware in ((1, "AMD EPYC, 1 thread"), (2, "AMD EPYC, 2 threads")):
        write_json(path / "environment.json", {"devices": [], "processor": "AMD EPYC", "threads": threads})
        assert dict(run_facts("run", read_run(path))["facts"])["hardware"] == hardware


def test_facts_that_all_runs_share_stand_once(tmp_path):
    runs = [read_run(write_run(tmp_path / f"s{seed}" / "grpo", seed=seed)) for seed in (1, 2)]
    names = run_names([run.path for run in runs])
    assert names == ["s1/grpo", "s2/grpo"]
    same, first, second = shared_facts_first([run_facts(name, run) for name, run in zip(names, runs, strict=True)])
    assert ("recipe", "made") in same["facts"]
    assert (first["facts"], second["facts"]) == ([("seed", "1")], [("seed", "2")])


def test_a_settings_file_of_other_types_is_shown_as_far_as_it_goes(tmp_path):
    odd = {"model": "x", "data": [1], "grpo": None, "reward": {"accuracy": "much"}, "prompt": 3}
    write_json(write_run(tmp_path / "run") / "config.yaml", odd)
    run = read_run(tmp_path / "run")
    facts = dict(run_facts("run", run)["facts"])
    assert facts["method"] == "GRPO"
    assert run.audio_roots == []
    assert question_sets(run) == []


def test_unchanged_files_are_read_once(tmp_path):
    path = write_run(tmp_path / "run", metrics=metric_rows(3))
    first = read_rows(path / "metrics.jsonl", path, METRICS)
    assert read_rows(path / "metrics.jsonl", path, METRICS) is first
