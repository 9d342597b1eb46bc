"""Two evaluations of the same questions, compared pair by pair, and the command `harken compare`."""

import io

import pytest
from command_line import harken, refused_by
from evaluation_folders import FIVE_ROWS, MODALITIES, TASKS, prediction_row, write_evaluation_folder
from rich.console import Console

from harken.errors import DataError
from harken.results.compare import compare, compare_folders, four_way
from harken.results.comparison_tables import comparison_rows, comparison_table, four_way_rows
from harken.results.evaluation_rows import group_rows
from harken.results.evaluation_tables import summary_table
from harken.results.formatting import p_value, percent, points
from harken.results.summary import summarise


def test_a_comparison_pairs_by_id_whatever_the_order():
    after = [{**row, "correct": row["id"] in "124"} for row in FIVE_ROWS[::-1]]
    groups = {comparison.group: comparison for comparison in compare(FIVE_ROWS, after)}
    assert list(groups) == list(group_rows(FIVE_ROWS))
    whole = groups["all"]
    assert (whole.before.mean, whole.after.mean) == (2 / 5, 3 / 5)
    assert whole.gain.mean == pytest.approx(1 / 5)  # 2 and 4 gained, 3 lost
    assert (whole.gain.n, whole.gain.clusters) == (5, 4)
    assert (whole.gained, whole.lost, whole.p) == (2, 1, 1.0)
    assert groups["music"].gain.mean == 1.0
    assert groups["sound"].gain.mean == 0.0


def test_other_questions_and_hidden_answers_cannot_be_compared():
    with pytest.raises(DataError, match=r"1 only before \(such as '5'\), of 5 and 4"):
        compare(FIVE_ROWS, FIVE_ROWS[:4])
    with pytest.raises(DataError, match=r"2 only after \(such as '4'\), of 3 and 5"):
        compare(FIVE_ROWS[:3], FIVE_ROWS)
    with pytest.raises(DataError, match=r"1 only before \(such as '1'\) and 2 only after \(such as '4'\)"):
        compare(FIVE_ROWS[:3], FIVE_ROWS[1:])
    for hidden in (
        ([prediction_row("1", None)], [prediction_row("1", True)]),
        ([prediction_row("1", True)], [prediction_row("1", None)]),
    ):
        with pytest.raises(DataError, match="hide"):
            compare(*hidden)


@pytest.mark.parametrize("change", [{"question": "what?"}, {"choices": ["a", "b", "c", "e"]}, {"answer": "b"}])
def test_one_id_in_two_versions_of_a_benchmark_is_no_pair(change):
    other = [{**row, **change} if row["id"] in "12" else row for row in FIVE_ROWS]
    with pytest.raises(DataError, match=r"2 of 5 questions \(such as '1'\) have another text"):
        compare(FIVE_ROWS, other)


def test_choices_in_another_order_and_a_clip_lost_on_the_way_are_the_same_question():
    turned = [{**row, "choices": row["choices"][::-1]} for row in FIVE_ROWS]
    assert compare(FIVE_ROWS, turned)[0].gain.mean == 0
    lost = {"question": "", "choices": [], "answer": None, "correct": False, "reason": "rejected: no such file"}
    assert compare(FIVE_ROWS, [{**FIVE_ROWS[0], **lost}, *FIVE_ROWS[1:]])[0].gain.mean == pytest.approx(-1 / 5)


@pytest.mark.parametrize("side", [0, 1])
def test_a_question_answered_twice_is_no_pair(side):
    both = [list(FIVE_ROWS), list(FIVE_ROWS)]
    both[side] += FIVE_ROWS[:2]
    with pytest.raises(DataError, match=rf"2 ids appear twice {('before', 'after')[side]}"):
        compare(*both)


def test_four_ways_put_accuracy_with_and_without_the_clip_side_by_side():
    all_wrong = [{**row, "correct": False} for row in FIVE_ROWS]
    all_right = [{**row, "correct": True} for row in FIVE_ROWS]
    whole = four_way(FIVE_ROWS, all_wrong, all_right, FIVE_ROWS)[0]
    assert (whole.comparison.before.mean, whole.comparison.after.mean) == (2 / 5, 1.0)
    assert (whole.before_without_audio.mean, whole.after_without_audio.mean) == (0.0, 2 / 5)
    assert whole.chance == pytest.approx(1.25 / 4)
    assert four_way_rows([whole])[0][-1] == "31"


def test_tables_hold_figures_intervals_and_n():
    (whole, *_) = compare(FIVE_ROWS, [{**row, "correct": True} for row in FIVE_ROWS])
    name, n, before, after, gain, p = comparison_rows([whole])[0]
    assert (name, n) == ("all", "5")
    assert before == percent(whole.before) == f"40.0 [{100 * whole.before.low:.0f}, {100 * whole.before.high:.0f}]"
    assert after.startswith("100.0 [")
    assert after.endswith(", 100]")
    assert gain == points(whole.gain)
    assert gain.startswith("+60.0 [")
    assert p == "0.250"  # three gained, none lost: 2 / 2^3
    assert p_value(0.0009) == "<.001"


def test_names_from_data_files_are_never_read_as_markup():
    rows = [prediction_row("1", True, task="[red]x[/red]"), prediction_row("2", False, task="[/nothing]")]
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(summary_table("t", summarise(rows)))
    console.print(comparison_table("t", compare(rows, rows)))
    text = console.export_text()
    assert "[red]x[/red]" in text
    assert "[/nothing]" in text


def test_each_further_folder_is_compared_with_the_first(tmp_path):
    first, second, third = (write_evaluation_folder(tmp_path / name, seed) for seed, name in enumerate("abc"))
    result = harken("compare", first, second, third)
    assert result.code == 0, result.err
    assert result.out.count("gain, points") == 2
    both = harken("compare", first, second, third, "--markdown").out
    alone = [harken("compare", first, other, "--markdown").out for other in (second, third)]
    titles = [f"{first} -> {other}\n\n" for other in (second, third)]
    assert both == "".join(title + text for title, text in zip(titles, alone, strict=True))
    assert alone[0].splitlines()[0] == "| questions | n | before, % | after, % | gain, points | p |"
    assert alone[0] != alone[1]


def test_patterns_over_seeds_stay_pairs_in_order(tmp_path):
    for run in ("base", "first", "second"):
        for seed in range(2):
            write_evaluation_folder(tmp_path / f"s{seed}" / run, f"{run}{seed}")
    result = harken("compare", *(tmp_path / "s*" / run for run in ("base", "first", "second")))
    assert result.code == 0, result.err
    assert result.out.count("Mean of 2 seeds") == 2
    assert "2 folders before and 1 after" in refused_by("compare", tmp_path / "s*" / "base", tmp_path / "s0" / "first")


def test_folders_that_cannot_be_compared_are_named_with_counts(tmp_path):
    a, b = (
        write_evaluation_folder(tmp_path / "a", 0),
        write_evaluation_folder(tmp_path / "b", 0, tasks={**TASKS, "sound": 4}),
    )
    with pytest.raises(
        DataError, match=r"/a and .*/b: the questions are not the same: 2 only before \(such as 'sound-4'\)"
    ):
        compare_folders(a, b)
    assert "2 only before (such as 'sound-4'), of 21 and 19" in refused_by("compare", a, b)
    assert "give two folders or more" in refused_by("compare", a)
    assert "nothing matches" in refused_by("compare", a, tmp_path / "x*")


def test_a_comparison_shows_every_figure_in_80_columns(tmp_path):
    comparisons = compare_folders(*(write_evaluation_folder(tmp_path / name, name, tasks=MODALITIES) for name in "ab"))
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(comparison_table("t", comparisons))
    text = console.export_text()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    for comparison in comparisons:
        assert f"{comparison.p:.3f}" in text
