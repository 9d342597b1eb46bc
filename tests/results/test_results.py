"""Summaries and comparisons by hand."""

import io
import json

import pytest
from rich.console import Console

from harken.errors import DataError
from harken.results.compare import compare, four_way
from harken.results.comparison_tables import comparison_rows, comparison_table, four_way_rows
from harken.results.evaluation_rows import group_rows, read_evaluation_rows
from harken.results.evaluation_tables import summary_table
from harken.results.formatting import markdown, p_value, percent, points
from harken.results.seeds import over_seeds
from harken.results.summary import summarise
from harken.stats import mean_interval


def row(ident, correct, clip=None, task="sound", difficulty="easy", **changes):
    return {
        **{"id": ident, "clip": clip or ident, "task": task, "difficulty": difficulty, "correct": correct},
        **{"choices": ["a", "b", "c", "d"], "choice": "a", "reason": "exact", "ended": True, "tokens": 2},
        **{"question": "which?", "answer": "a", "completion": "a"},
        **changes,
    }


ROWS = [
    row("1", True, "x"),
    row("2", False, "x", task="music", difficulty="hard"),
    row("3", True, "y", difficulty="hard", choices=["a", "b"]),
    row("4", False, "z", choice=None, reason="no choice", ended=False),
    row("5", False, "w", task="", difficulty="", choice=None, choices=[], reason="rejected: no such file"),
]


def test_a_summary_counts_everything_and_leaves_nothing_out():
    summary = summarise(ROWS)
    assert summary["n"] == 5
    assert summary["n_unreadable"] == 2
    assert summary["n_cut_at_maximum"] == 1
    assert summary["n_rejected"] == 1
    assert summary["n_hidden_answer"] == 0
    assert summary["reasons"] == {"exact": 3, "no choice": 1, "rejected": 1}
    assert summary["chance"] == pytest.approx((0.25 + 0.25 + 0.5 + 0.25) / 4)
    shares = {name: (one["mean"], one["n"], one["clusters"]) for name, one in summary["accuracy"].items()}
    assert shares == {
        "all": (2 / 5, 5, 4),
        "music": (0.0, 1, 1),
        "sound": (pytest.approx(2 / 3), 3, 3),
        "easy": (1 / 2, 2, 2),
        "hard": (1 / 2, 2, 2),
        "music hard": (0.0, 1, 1),
        "sound easy": (1 / 2, 2, 2),
        "sound hard": (1.0, 1, 1),
    }


def test_intervals_are_clustered_by_clip():
    rows = [row(str(i), i < 4, clip="x" if i < 4 else "y") for i in range(8)]
    found = summarise(rows)["accuracy"]["all"]
    expected = mean_interval([1, 1, 1, 1, 0, 0, 0, 0], list("xxxxyyyy"))
    assert (found["low"], found["high"]) == (expected.low, expected.high)
    apart = summarise([row(str(i), i < 4) for i in range(8)])["accuracy"]["all"]
    assert apart["low"] > found["low"]


def test_hidden_answers_are_counted_and_not_scored():
    summary = summarise([row("1", True), row("2", None)])
    assert (summary["n"], summary["n_hidden_answer"]) == (2, 1)
    assert summary["accuracy"]["all"]["n"] == 1
    assert summarise([row("1", None)])["accuracy"] == {}


def test_a_comparison_pairs_by_id_whatever_the_order():
    after = [{**one, "correct": one["id"] in "124"} for one in ROWS[::-1]]
    found = {one.group: one for one in compare(ROWS, after)}
    assert list(found) == list(group_rows(ROWS))
    whole = found["all"]
    assert (whole.before.mean, whole.after.mean) == (2 / 5, 3 / 5)
    assert whole.gain.mean == pytest.approx(1 / 5)  # 2 and 4 gained, 3 lost
    assert (whole.gain.n, whole.gain.clusters) == (5, 4)
    assert (whole.gained, whole.lost, whole.p) == (2, 1, 1.0)
    assert found["music"].gain.mean == 1.0
    assert found["sound"].gain.mean == 0.0


def test_other_questions_and_hidden_answers_cannot_be_compared():
    with pytest.raises(DataError, match=r"1 only before \(such as '5'\), of 5 and 4"):
        compare(ROWS, ROWS[:4])
    with pytest.raises(DataError, match=r"2 only after \(such as '4'\), of 3 and 5"):
        compare(ROWS[:3], ROWS)
    with pytest.raises(DataError, match=r"1 only before \(such as '1'\) and 2 only after \(such as '4'\)"):
        compare(ROWS[:3], ROWS[1:])
    for hidden in ([row("1", None)], [row("1", True)]), ([row("1", True)], [row("1", None)]):
        with pytest.raises(DataError, match="hide"):
            compare(*hidden)


@pytest.mark.parametrize("change", [{"question": "what?"}, {"choices": ["a", "b", "c", "e"]}, {"answer": "b"}])
def test_one_id_in_two_versions_of_a_benchmark_is_no_pair(change):
    other = [{**one, **change} if one["id"] in "12" else one for one in ROWS]
    with pytest.raises(DataError, match=r"2 of 5 questions \(such as '1'\) have another text"):
        compare(ROWS, other)


def test_choices_in_another_order_and_a_clip_lost_on_the_way_are_the_same_question():
    turned = [{**one, "choices": one["choices"][::-1]} for one in ROWS]
    assert compare(ROWS, turned)[0].gain.mean == 0
    lost = {"question": "", "choices": [], "answer": None, "correct": False, "reason": "rejected: no such file"}
    assert compare(ROWS, [{**ROWS[0], **lost}, *ROWS[1:]])[0].gain.mean == pytest.approx(-1 / 5)


@pytest.mark.parametrize("side", [0, 1])
def test_a_question_answered_twice_is_no_pair(side):
    both = [list(ROWS), list(ROWS)]
    both[side] += ROWS[:2]
    with pytest.raises(DataError, match=rf"2 ids appear twice {('before', 'after')[side]}"):
        compare(*both)


def test_several_seeds_have_a_mean_a_spread_and_the_lowest_bound():
    seeds = [compare([row("1", False), row("2", False)], [row("1", a), row("2", b)]) for a, b in ((1, 1), (1, 0))]
    whole = over_seeds(seeds)[0]
    assert (whole.group, whole.n, whole.seeds) == ("all", 2, 2)
    assert (whole.after.mean, whole.after.low, whole.after.high) == (0.75, 0.5, 1.0)
    assert whole.after.sd == pytest.approx(0.125**0.5)
    assert whole.lowest_bound == min(seed[0].gain.low for seed in seeds)
    with pytest.raises(DataError, match="two seeds or more"):
        over_seeds(seeds[:1])


def test_four_ways_put_hearing_and_not_hearing_side_by_side():
    wrong = [{**one, "correct": False} for one in ROWS]
    right = [{**one, "correct": True} for one in ROWS]
    whole = four_way(ROWS, wrong, right, ROWS)[0]
    assert (whole.comparison.before.mean, whole.comparison.after.mean) == (2 / 5, 1.0)
    assert (whole.before_without_audio.mean, whole.after_without_audio.mean) == (0.0, 2 / 5)
    assert whole.chance == pytest.approx(1.25 / 4)
    assert four_way_rows([whole])[0][-1] == "31"


def test_predictions_read_back_whatever_the_model_said(tmp_path):
    said = [row("1", True, completion="a\u2028b\x85c\n"), row("2", False, completion="")]
    text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in said)
    (tmp_path / "predictions.jsonl").write_text(text, encoding="utf-8")
    assert read_evaluation_rows(tmp_path) == said
    with pytest.raises(DataError, match=r"no predictions\.jsonl; give a folder that `harken evaluate` wrote"):
        read_evaluation_rows(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"id": "1"', "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[1]", "expected a JSON object"),
        (b'{"id": "1", "clip": "x"}', "the line lacks task, difficulty, question"),
    ],
)
def test_a_damaged_line_is_named_with_its_place(tmp_path, line, says):
    (tmp_path / "predictions.jsonl").write_bytes(json.dumps(row("0", True)).encode() + b"\n" + line + b"\n")
    with pytest.raises(DataError, match=rf"predictions\.jsonl:2: {says}"):
        read_evaluation_rows(tmp_path)


def thinking(ident, form, difficulty, **changes):
    said = {"think": "<think>b</think><answer>a</answer>", "no_think": "<answer>a</answer>", "malformed": "<think>a"}
    return row(ident, True, difficulty=difficulty, completion=said[form], **changes)


def test_no_think_rates_are_shares_of_the_valid_outputs_of_each_difficulty():
    forms = {"easy": "nnnt", "hard": "tttmm", "medium": "m"}
    names = {"n": "no_think", "t": "think", "m": "malformed"}
    rows = [
        thinking(f"{level}{i}", names[letter], level)
        for level, letters in forms.items()
        for i, letter in enumerate(letters)
    ]
    rows.append(row("never asked", False, difficulty="easy", completion="", tokens=0))
    summary = summarise(rows)
    assert summary["forms"] == {"think": 4, "no_think": 3, "malformed": 3}
    rates = {name: (one["mean"], one["n"]) for name, one in summary["no_think"].items()}
    assert rates == {"all": (3 / 7, 7), "easy": (3 / 4, 4), "hard": (0.0, 3)}  # no valid one is medium
    expected = mean_interval([1, 1, 1, 0], "abcd")
    assert (summary["no_think"]["easy"]["low"], summary["no_think"]["easy"]["high"]) == (expected.low, expected.high)


def test_a_table_shows_no_think_rates_only_where_outputs_have_tags():
    console = Console(width=80, record=True, file=io.StringIO())
    both = [thinking("1", "no_think", "easy"), thinking("2", "malformed", "easy")]
    console.print(summary_table("t", summarise(both)))
    hidden = {**thinking("3", "no_think", "hard"), "correct": None}
    console.print(summary_table("t", summarise([hidden])))
    text = console.export_text()
    assert text.count("no-think, % of valid outputs") == 2
    assert f"{percent(mean_interval([1.0], ['x']))} of 1" in text
    assert "1 outputs are malformed and in no rate" in " ".join(text.split())
    assert not {"forms", "no_think"} & summarise([row("1", True)]).keys()
    console.print(summary_table("t", summarise([row("1", True)])))
    assert "no-think" not in console.export_text()


def test_an_interval_never_reads_as_one_of_no_width():
    assert percent(mean_interval([0.0] * 1000, range(1000))) == "0.0 [0.0, 0.4]"
    assert percent(mean_interval([1.0] * 20, range(20))) == "100.0 [84, 100]"


def test_tables_say_figures_intervals_and_n():
    (whole, *_) = compare(ROWS, [{**one, "correct": True} for one in ROWS])
    name, n, before, after, gain, p = comparison_rows([whole])[0]
    assert (name, n) == ("all", "5")
    assert before == percent(whole.before) == f"40.0 [{100 * whole.before.low:.0f}, {100 * whole.before.high:.0f}]"
    assert after.startswith("100.0 [")
    assert after.endswith(", 100]")
    assert gain == points(whole.gain)
    assert gain.startswith("+60.0 [")
    assert p == "0.250"  # three gained, none lost: 2 / 2^3
    assert p_value(0.0009) == "<.001"


def test_markdown_has_one_line_a_row_and_keeps_bars_in_names():
    text = markdown(("questions", "n"), [("sound|music", "3")])
    assert text == "| questions | n |\n| --- | ---: |\n| sound\\|music | 3 |"


def test_names_from_data_files_are_never_read_as_markup():
    rows = [row("1", True, task="[red]x[/red]"), row("2", False, task="[/nothing]")]
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(summary_table("t", summarise(rows)))
    console.print(comparison_table("t", compare(rows, rows)))
    text = console.export_text()
    assert "[red]x[/red]" in text
    assert "[/nothing]" in text
