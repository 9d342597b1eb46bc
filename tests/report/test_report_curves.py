"""Curves of metric rows, worked by hand."""

from harken.report.curve_names import SECTIONS
from harken.report.curves import POINTS, panels


def test_every_number_of_a_row_has_a_panel_in_a_fixed_order():
    rows = [{"step": 1, "zzz/new": 3, "loss/kl": 0.5, "reward/mean": 0.25, "reward/consistency": 0.5, "dev/n": 9.0}]
    drawn = panels([rows])
    assert [(panel["key"], panel["section"]) for panel in drawn] == [
        ("reward/mean", SECTIONS[0]),
        ("reward/consistency", SECTIONS[0]),
        ("loss/kl", SECTIONS[2]),
        ("dev/n", SECTIONS[4]),
        ("zzz/new", SECTIONS[4]),
    ]
    assert [panel["title"] for panel in drawn[:2]] == ["Reward", "Reward part: consistency"]
    assert [panel["unit"] for panel in drawn[:3]] == ["reward", "reward", "nats per token"]
    assert drawn[0]["series"] == [{"run": 0, "x": [1], "y": [0.25], "last": 0.25}]


def test_runs_lie_over_each_other_and_one_without_the_figure_has_no_line():
    drawn = panels([[{"step": 1, "loss/kl": 1.0}], [{"step": 1}], [{"step": 2, "loss/kl": 3.0}]])
    assert [(series["run"], series["x"], series["y"]) for series in drawn[0]["series"]] == [
        (0, [1], [1.0]),
        (2, [2], [3.0]),
    ]


def test_every_step_is_a_point_until_a_run_has_more_than_a_panel_holds():
    rows = [{"step": step, "loss/kl": float(step % 7)} for step in range(1, 2 * POINTS + 1)]
    (series,) = panels([rows[:POINTS]])[0]["series"]
    assert series["x"] == list(range(1, POINTS + 1))
    assert "low" not in series
    (series,) = panels([rows])[0]["series"]
    assert series["x"] == list(range(2, 2 * POINTS + 1, 2))
    assert series["last"] == 2 * POINTS % 7
    assert series["y"][:4] == [1.5, 3.5, 5.5, 0.5]  # of the steps 1, 2; 3, 4; 5, 6; 7, 8
    assert (series["low"][3], series["high"][3]) == (0, 1)
    halves = panels([rows[:POINTS], rows[:POINTS]])[0]["series"]
    assert [len(half["x"]) for half in halves] == [POINTS // 2] * 2


def test_measured_accuracy_has_its_interval_and_the_ends_are_no_panels():
    rows = [{"step": step, "dev/accuracy": 0.5, "dev/low": 0.4, "dev/high": 0.6} for step in (5, 10)]
    (panel,) = panels([rows])
    assert (panel["series"][0]["low"], panel["series"][0]["high"]) == ([0.4, 0.4], [0.6, 0.6])
    assert panel["series"][0]["interval"] is True
    assert panel["constant"] is True
    del rows[0]["dev/low"]  # a run that went on with another version
    assert "low" not in panels([rows])[0]["series"][0]


def test_a_figure_that_never_changes_in_any_run_is_constant():
    same, other = [{"step": 1, "a": 1.0}, {"step": 2, "a": 1.0}], [{"step": 1, "a": 2.0}]
    assert panels([same])[0]["constant"] is True
    assert panels([same, other])[0]["constant"] is True
    assert panels([same, [*other, {"step": 2, "a": 3.0}]])[0]["constant"] is False


def test_what_is_no_finite_number_is_no_point():
    rows = [
        {"step": 1, "a": float("nan"), "b": True, "c": "<b>", "d": None},
        {"step": None, "a": 1.0},
        {"step": 2, "a": 4},
        {"a": 5.0},
    ]
    (panel,) = panels([rows])
    assert (panel["key"], panel["series"][0]["x"], panel["series"][0]["y"]) == ("a", [2], [4.0])
