"""The result of a run in one line, worked by hand."""

import pytest
from report_runs import prediction, write_demo, write_evaluation, write_run

from harken.report.accuracy import accuracy_table
from harken.report.question_sets import question_sets
from harken.report.result_line import result_lines
from harken.report.run import read_run


def lines_of(*runs):
    names, read = [run.name for run in runs], [read_run(run) for run in runs]
    tables = [
        accuracy_table(name, questions)
        for name, run in zip(names, read, strict=True)
        for questions in question_sets(run)
    ]
    return result_lines(names, read, tables)


def test_the_line_holds_before_after_gain_the_same_without_the_clip_and_the_audio_gain(tmp_path):
    """Of 8 questions 4 are right before and 5 after, and without the clip 2 and 1."""
    ((of, line),) = lines_of(write_demo(tmp_path))
    assert of == ""
    gain, without, audio = line.split("; ")
    assert gain.startswith("50.0 → 62.5 %, +12.5 [")
    assert gain.endswith("] on 8 questions")
    assert without == "without the clip 25.0 → 12.5 %"
    assert audio.startswith("audio gain +50 [+")


def test_what_was_not_evaluated_is_left_out(tmp_path):
    run = write_run(tmp_path / "run", model="base")
    rows = [prediction(str(i), correct=i < 3) for i in range(4)]
    write_evaluation(run, "before", rows, model="base")
    assert lines_of(run) == [("", "75.0 % [30, 95] on 4 questions, before training")]
    write_evaluation(run, "after", rows, model="trained")
    write_evaluation(run, "deaf", [prediction(str(i), correct=i < 1) for i in range(4)], model="trained", audio="none")
    (line,) = (line for _, line in lines_of(run))
    assert line.startswith("75.0 → 75.0 %, +0.0 [")
    assert "; without the clip 25.0 %; audio gain +50 [" in line


@pytest.mark.parametrize(
    ("metrics", "line"),
    [
        ([], "not evaluated yet"),
        (
            [{"step": 5, "dev/accuracy": 0.5, "dev/n": 40}],
            "50.0 % of 40 development questions at step 5; not evaluated yet",
        ),
        (
            [{"step": 1, "dev/accuracy": 0.25, "dev/n": 40}, {"step": 9, "dev/accuracy": 0.5, "dev/n": 40}],
            "25.0 → 50.0 % of 40 development questions at steps 1 and 9; not evaluated yet",
        ),
    ],
)
def test_a_run_without_an_evaluation_has_its_development_questions(tmp_path, metrics, line):
    assert lines_of(write_run(tmp_path / "run", metrics=metrics)) == [("", line)]


def test_several_runs_and_several_sets_are_told_apart(tmp_path):
    runs = [write_run(tmp_path / name, model="base") for name in ("one", "two")]
    for run in runs:
        write_evaluation(run, "a", [prediction("1", correct=True)], model="m", file="a.json")
    write_evaluation(runs[0], "b", [prediction("2", correct=True)], model="m", file="b.json")
    assert [of for of, _ in lines_of(*runs)] == ["one · a.json", "one · b.json", "two"]
    assert [of for of, _ in lines_of(runs[0])] == ["a.json", "b.json"]
