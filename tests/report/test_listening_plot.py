"""The five kinds of audio of `harken evaluate --listening` in the report: found, sorted, paired and drawn."""

import json
import os

import pytest
from report_runs import prediction, write_demo, write_evaluation, write_run

from harken.config.data import AUDIO_MODES
from harken.report.accuracy import accuracy_table
from harken.report.build import report_page
from harken.report.question_sets import AFTER, question_sets
from harken.report.questions import evaluation_items
from harken.report.run import read_run
from harken.report.viewer import Viewer

RIGHT = {"real": 6, "none": 2, "silence": 2, "noise": 3, "shuffled": 1}


def write_listening(run, name="listening", model="trained"):
    for mode in AUDIO_MODES:
        rows = [prediction(str(i), correct=i < RIGHT[mode]) for i in range(8)]
        write_evaluation(run, f"{name}/{mode}", rows, model=model, audio=mode)


def test_each_kind_of_audio_has_its_accuracy_and_its_paired_difference_from_the_clip(tmp_path):
    run = write_run(tmp_path / "run", model="base")
    write_listening(run)
    (questions,) = question_sets(read_run(run))
    assert {audio for _, audio in questions.evaluations} == set(AUDIO_MODES)
    assert questions.evaluations[AFTER, "noise"].name == "listening/noise"
    lines = accuracy_table("run", questions).listening
    assert [(line.label, line.after.mean) for line in lines] == [
        ("the clip", 6 / 8),
        ("no clip", 2 / 8),
        ("silence", 2 / 8),
        ("noise", 3 / 8),
        ("another question's clip", 1 / 8),
    ]
    assert all(line.before is None for line in lines)
    assert [line.gain and line.gain.mean for line in lines] == [
        None,
        *(pytest.approx((6 - RIGHT[mode]) / 8) for mode in AUDIO_MODES[1:]),
    ]


def test_the_listener_has_an_answer_for_each_kind_of_audio(tmp_path):
    run = write_run(tmp_path / "run", model="base")
    write_listening(run)
    items = {item["id"]: item for item in evaluation_items([question_sets(read_run(run))])}
    assert [answer["audio"] for answer in items["0"]["answers"]] == list(AUDIO_MODES)
    assert [answer["correct"] for answer in items["2"]["answers"]] == [True, False, False, True, False]
    assert items["2"]["marks"] == ["audio"]


def test_clip_and_no_clip_alone_are_no_listening_plot(tmp_path):
    run = read_run(write_demo(tmp_path))
    assert accuracy_table("run", question_sets(run)[0]).listening == []
    assert "What the model hears" not in report_page([run])


def test_the_page_shows_the_plot_with_its_figures(tmp_path):
    run = write_run(tmp_path / "run", model="base")
    write_listening(run)
    page = report_page([read_run(run)])
    assert "What the model hears" in page
    assert page.count('class="point after"') == 5
    assert "another question&#39;s clip" in page


def test_the_live_page_shows_the_plot_when_the_evaluation_is_there(tmp_path):
    run = write_run(tmp_path / "run", model="base")
    viewer = Viewer([run], [])
    assert b"What the model hears" not in viewer.state()[0]
    write_listening(run)
    state = viewer.state()[0]
    assert b"What the model hears" in state
    assert [answer["audio"] for answer in json.loads(state)["questions"][0]["answers"]] == list(AUDIO_MODES)


def test_silence_is_not_taken_for_the_clip(tmp_path):
    """An evaluation with silence alone is neither before nor after with the clip."""
    run = write_run(tmp_path / "run", model="base")
    write_evaluation(run, "quiet", [prediction("1", correct=True)], model="trained", audio="silence")
    table = accuracy_table("run", question_sets(read_run(run))[0])
    assert table.lines[0].after is None
    assert [line.label for line in table.listening] == ["silence"]


def test_of_two_models_without_the_clip_the_one_that_was_evaluated_with_it_counts(tmp_path):
    run = write_run(tmp_path / "run", model="base")
    rows = [prediction("1", correct=True)]
    write_evaluation(run, "late", rows, model="step_9")
    write_evaluation(run, "late-none", rows, model="step_9", audio="none")
    write_evaluation(run, "early-none", rows, model="step_1", audio="none")
    for number, name in enumerate(("late", "late-none", "early-none")):
        os.utime(run / "eval" / name / "summary.json", (number, number))
    (questions,) = question_sets(read_run(run))
    assert questions.get(AFTER, "none").name == "late-none"
    os.utime(run / "eval" / "late" / "summary.json", (9, 9))
    (run / "eval" / "late-none" / "summary.json").unlink()
    (questions,) = question_sets(read_run(run))
    assert questions.get(AFTER, "none").name == "early-none"  # the only one there is
