"""The questions that the page lists: their marks, the cuts of long texts and the sample, worked by hand."""

import json

import pytest
from report_runs import prediction, sampled, write_demo, write_evaluation, write_run

from harken.report.question_sample import spread_kinds, take_within
from harken.report.question_sets import AFTER, BEFORE, question_sets
from harken.report.questions import GROUPS, TRAINING, evaluation_items, training_items
from harken.report.run import read_run
from harken.system.shown_text import cut


def items_of(run):
    return {item["id"]: item for item in evaluation_items([question_sets(run)])}


def shown_items(run):
    return take_within(training_items([read_run(run)]), 10**9)


def test_a_question_has_its_four_answers_and_the_marks_that_filters_go_by(tmp_path):
    items = items_of(read_run(write_demo(tmp_path)))
    assert list(items) == [f"test_{i}" for i in range(8)]
    answers = items["test_4"]["answers"]
    assert [(answer["run"], answer["when"], answer["audio"], answer["correct"]) for answer in answers] == [
        (0, BEFORE, "real", False),
        (0, BEFORE, "none", False),
        (0, AFTER, "real", True),
        (0, AFTER, "none", False),
    ]
    marks = {ident: items[ident]["marks"] for ident in items}
    assert marks == {
        "test_0": ["lost"],  # right before, with and without the clip; wrong after, both
        "test_1": [],  # right in all four
        "test_2": ["audio"],
        "test_3": ["audio"],
        "test_4": ["audio", "gained"],
        "test_5": ["audio", "gained"],
        "test_6": [],
        "test_7": ["unreadable"],
    }


def test_completions_of_a_question_are_kept_by_step_with_parts_and_advantage(tmp_path):
    missing = {"rewards": {"accuracy": 0, "quality": None}, "judged": {"quality": None}}
    rows = [sampled("q", 0, correct=True, judged={"quality": 0.8}), sampled("q", 1, correct=False, **missing)]
    path = write_run(tmp_path / "run", rollouts={3: rows, 7: [sampled("r", 0, correct=True)]})
    newest, older = shown_items(path)
    assert (newest["id"], older["id"]) == ("r", "q")
    (group,) = older["groups"]
    assert (group["step"], [row["advantage"] for row in group["rows"]]) == (3, [1.0, -1.0])
    assert [row["rewards"] for row in group["rows"]] == [{"accuracy": 1.0}, {"accuracy": 0.0, "quality": None}]
    assert [row["judged"] for row in group["rows"]] == [{"quality": 0.8}, {"quality": None}]
    assert older["marks"] == ["judge"]
    assert older["set"] == TRAINING


def test_of_many_groups_the_first_and_the_last_stay(tmp_path):
    path = write_run(tmp_path / "run", rollouts={step: [sampled("q", 0, correct=True)] for step in range(1, 41)})
    (item,) = shown_items(path)
    steps = [group["step"] for group in item["groups"]]
    assert (len(steps), steps[0], steps[-1]) == (GROUPS, 1, 40)
    assert len(set(steps)) == GROUPS


def test_a_rejected_record_and_a_text_only_question_have_no_clip(tmp_path):
    rows = [
        prediction("with_clip", correct=True),
        prediction("read", correct=True, clip="read"),
        prediction("bad", correct=False, clip="q.json:3", choices=[]),
    ]
    run = write_run(tmp_path / "run")
    write_evaluation(run, "test", rows, model="m")
    clips = {ident: item["clip"] for ident, item in items_of(read_run(run)).items()}
    assert clips == {"with_clip": "audio/with_clip.wav", "read": "", "bad": ""}


def test_one_id_for_two_questions_is_two_items(tmp_path):
    runs = []
    for name, question in (("a", "Which animal?"), ("b", "Which city?")):
        rows = {1: [sampled("1", 0, correct=True, question=question)]}
        runs.append(read_run(write_run(tmp_path / name, rollouts=rows)))
    assert [item["text"] for item in training_items(runs)] == ["Which animal?", "Which city?"]
    same = training_items([runs[0], runs[0]])
    assert [group["run"] for item in same for group in item["groups"]] == [0, 1]


def test_two_sets_of_one_name_are_told_apart(tmp_path):
    path = write_run(tmp_path / "run")
    for folder, ident in (("a", "1"), ("b", "2")):
        write_evaluation(path, folder, [prediction(ident, correct=True)], model="m", file=f"{folder}/test.json")
    assert {item["set"] for item in evaluation_items([question_sets(read_run(path))])} == {"test.json", "test.json (2)"}


def test_every_beginning_of_the_spread_holds_all_kinds():
    items = [
        {"id": f"{kind}{i}", "set": "s", "marks": marks, "task": "", "difficulty": ""}
        for kind, marks, n in (("a", [], 100), ("b", ["gained"], 5), ("c", ["audio"], 20))
        for i in range(n)
    ]
    ordered = [item["id"] for item in spread_kinds(items)]
    assert sorted(ordered) == sorted(item["id"] for item in items)
    assert {ident[0] for ident in ordered[:3]} == {"a", "b", "c"}
    assert sorted(ident[0] for ident in ordered[:15]) == sorted("abc" * 5)
    assert [item["id"] for item in spread_kinds(items[::-1])][3:] != ordered[::-1]
    assert {ident for ident in ordered[:15] if ident[0] == "b"} == {f"b{i}" for i in range(5)}


def test_the_budget_is_kept():
    items = [{"id": str(i), "text": "x" * 100, "groups": []} for i in range(100)]
    size = len(json.dumps(items[10]))
    kept = take_within(items, 20 * size)
    assert 20 <= len(kept) <= 21
    assert sum(len(json.dumps(item)) for item in kept) <= 20 * size
    assert take_within(items, 10) == []


@pytest.mark.parametrize("longest", [40, 4000])
def test_a_long_text_keeps_its_ends_and_says_what_is_left_out(longest):
    text = "a" * 600_000 + "b" * 400_000
    shown = cut(text, longest)
    assert shown.startswith("a" * (longest - longest // 4) + " [… ")
    assert shown.endswith("…] " + "b" * (longest // 4))
    assert f"{1_000_000 - longest:,} characters left out" in shown
    assert cut("a" * longest, longest) == "a" * longest


def test_control_characters_are_seen():
    assert cut("a\x00\x1b[31m\x7f\tb\nc\r", 100) == "a␀␛[31m␡\tb\nc␍"


def test_values_of_other_types_are_shown_and_raise_nothing(tmp_path):
    row = {"id": 7, "question": None, "choices": "abc", "completion": {"a": 1}, "rewards": [1], "reward": "much"}
    path = write_run(tmp_path / "run", rollouts={1: [row, {}]})
    items = {item["id"]: item for item in shown_items(path)}
    assert items["7"]["choices"] == []
    assert items["7"]["groups"][0]["rows"][0]["text"] == '{"a": 1}'
    assert items["7"]["groups"][0]["rows"][0]["reward"] is None


def test_a_judges_opinion_of_an_evaluated_answer_is_shown_and_a_failed_call_is_told_from_none(tmp_path):
    run = write_run(tmp_path / "run")
    opinions = {"yes": {"judged": True, "judge_reason": "same"}, "failed": {"judged": None}, "none": {}}
    write_evaluation(
        run, "test", [prediction(ident, correct=True, **more) for ident, more in opinions.items()], model="m"
    )
    items = items_of(read_run(run))
    answers = {ident: items[ident]["answers"][0] for ident in opinions}
    assert (answers["yes"]["judge"], answers["yes"]["judge_reason"]) == (True, "same")
    assert answers["failed"]["judge"] is None
    assert "judge" not in answers["none"]
