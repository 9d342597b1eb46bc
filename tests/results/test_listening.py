"""The figures of a listening test, worked by hand."""

import io

import pytest
from rich.console import Console

from harken.results.evaluation_tables import listening_table
from harken.results.listening import listening_figures, listening_rows
from harken.stats import paired_gain

MODES = ("real", "none", "silence", "noise", "shuffled")
CHOICES = {  # the choice for each question in each mode; "a" is right, "?" is unreadable
    "1": "aabba",
    "2": "ab?ab",
    "3": "aaaaa",
    "4": "b?bba",
}
CLIPS = {"1": "x", "2": "x", "3": "y", "4": "z"}


def modes(answer: str | None = "a"):
    def row(ident: str, choice: str | None) -> dict:
        labels = {"id": ident, "clip": CLIPS[ident], "task": "sound", "difficulty": "easy"}
        return {**labels, "choice": choice, "correct": None if answer is None else choice == answer}

    evaluations = {}
    for place, mode in enumerate(MODES):
        rows = [row(ident, None if letters[place] == "?" else letters[place]) for ident, letters in CHOICES.items()]
        rates = {row["id"]: None if row["correct"] is None else float(row["correct"]) for row in rows}
        evaluations[mode] = rows, rates
    return evaluations


def test_a_row_has_the_gain_of_the_clip_and_whether_the_choice_changed():
    rows = listening_rows(modes())
    assert [row["id"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["gain"] for row in rows] == [0.0, 1.0, 0.0, 0.0]
    assert [row["changed"] for row in rows] == [False, True, False, True]
    assert rows[1]["choices"] == {"real": "a", "none": "b", "silence": None, "noise": "a", "shuffled": "b"}
    assert rows[1]["unreadable"] == ["silence"]
    assert [[row[mode] for mode in MODES] for row in rows[:2]] == [[1, 1, 0, 0, 1], [1, 0, 0, 1, 0]]
    assert (rows[0]["clip"], rows[0]["task"], rows[0]["difficulty"]) == ("x", "sound", "easy")


def test_figures_by_hand():
    figures = listening_figures(listening_rows(modes()))
    accuracy = {mode: figure["accuracy"]["mean"] for mode, figure in figures["modes"].items()}
    assert accuracy == {"real": 0.75, "none": 0.5, "silence": 0.25, "noise": 0.5, "shuffled": 0.75}
    n_unreadable = {mode: figure["n_unreadable"] for mode, figure in figures["modes"].items()}
    assert n_unreadable == {"real": 0, "none": 1, "silence": 1, "noise": 0, "shuffled": 0}
    assert figures["modes"]["real"]["changed"] is None
    assert figures["modes"]["none"]["changed"]["mean"] == 0.5
    assert figures["modes"]["silence"]["changed"]["mean"] == 0.5
    gain = paired_gain({"1": 1, "2": 0, "3": 1, "4": 0}, {"1": 1, "2": 1, "3": 1, "4": 0}, CLIPS)
    assert figures["audio_gain"]["mean"] == gain.mean == 0.25
    assert (figures["audio_gain"]["low"], figures["audio_gain"]["high"]) == (gain.low, gain.high)
    assert figures["modes"]["silence"]["real_minus_this"]["mean"] == pytest.approx(0.5)


def test_hidden_answers_have_no_accuracy_and_no_gain_but_may_change():
    rows = listening_rows(modes(answer=None))
    figures = listening_figures(rows)
    assert [row["gain"] for row in rows] == [None] * 4
    assert figures["audio_gain"] is None
    assert figures["n_hidden_answer"] == 4
    assert figures["modes"]["none"]["changed"]["mean"] == 0.5


def test_the_table_fits_80_columns_and_has_the_gain():
    out = io.StringIO()
    for answer in ("a", None):
        figures = listening_figures(listening_rows(modes(answer)))
        Console(file=out, width=80).print(listening_table("test.json", figures))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "Audio gain (real minus none): +25.0 [" in text
    assert "hides its answers" in text
    assert all(mode in text for mode in MODES)
