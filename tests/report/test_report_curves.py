"""Curves of metric rows, worked by hand."""

from harken.report.curves import POINTS, SECTIONS, panels


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
    assert drawn[0]["series"] == [{"run": 0, "x": [1.0], "y": [0.25], "last": 0.25}]


def test_runs_lie_over_each_other_and_one_without_the_figure_has_no_line():
    drawn = panels([[{"step": 1, "loss/kl": 1.0}], [{"step": 1}], [{"step": 2, "loss/kl": 3.0}]])
    assert [(series["run"], series["x"], series["y"]) for series in drawn[0]["series"]] == [
        (0, [1.0], [1.0]),
        (2, [2.0], [3.0]),
    ]


def test_many_steps_become_means_with_their_extremes_and_none_is_lost():
    rows = [{"step": step, "loss/kl": float(step % 7)} for step in range(1, 1001)]
    (series,) = panels([rows])[0]["series"]
    assert len(series["x"]) <= POINTS
    assert series["x"][-1] == 1000
    assert series["last"] == 1000 % 7
    width = int(series["x"][0])
    first = [float(step % 7) for step in range(1, width + 1)]
    assert series["y"][0] == float(f"{sum(first) / width:.4g}")
    assert (series["low"][0], series["high"][0]) == (min(first), max(first))


def test_what_is_no_finite_number_is_no_point():
    rows = [
        {"step": 1, "a": float("nan"), "b": True, "c": "<b>", "d": None},
        {"step": None, "a": 1.0},
        {"step": 2, "a": 4},
        {"a": 5.0},
    ]
    (panel,) = panels([rows])
    assert (panel["key"], panel["series"][0]["x"], panel["series"][0]["y"]) == ("a", [2.0], [4.0])
