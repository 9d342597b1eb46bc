"""Forced thinking budgets in the report: sorted by length, paired with and without the clip, and in no other figure."""

import pytest
from report_runs import prediction, write_evaluation, write_run

from harken.report.accuracy import accuracy_table
from harken.report.build import report_page
from harken.report.question_sets import AFTER, question_sets
from harken.report.run import read_run

RIGHT = {"no_think": (6, 2), "think:16": (5, 3), "think:128": (4, 4), "think": (3, 3)}
"""Form -> right answers of 8 with the clip and without it."""


def write_budgets(run):
    write_evaluation(run, "free", [prediction(str(i), correct=i < 7) for i in range(8)], model="trained")
    for force, (clip, none) in RIGHT.items():
        for audio, right in (("real", clip), ("none", none)):
            rows = [
                {**prediction(str(i), correct=i < right), "reasoning": "" if force == "no_think" else "a b c d"}
                for i in range(8)
            ]
            name = f"{force.replace(':', '-')}-{audio}"
            write_evaluation(run, name, rows, model="trained", audio=audio, force=force)


def test_each_budget_has_its_accuracy_and_what_the_clip_adds_there(tmp_path):
    run = write_run(tmp_path / "run", model="base")
    write_budgets(run)
    read = read_run(run)
    (questions,) = question_sets(read)
    assert questions.get(AFTER).name == "free"
    table = accuracy_table("run", questions)
    assert table.lines[0].after.mean == 7 / 8
    assert table.lines[0].after_without_audio is None
    assert [(line.label, line.after.mean) for line in table.budgets] == [
        ("no reasoning, 0 words", 6 / 8),
        ("up to 16 tokens, 4 words", 5 / 8),
        ("up to 128 tokens, 4 words", 4 / 8),
        ("no limit, 4 words", 3 / 8),
    ]
    assert [line.audio_gain.mean for line in table.budgets] == pytest.approx([4 / 8, 2 / 8, 0, 0])
    page = report_page([read])
    assert "Accuracy by the length of the reasoning" in page
    assert "up to 16 tokens, 4 words" in page
