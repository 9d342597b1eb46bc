"""The summary of one evaluation: counts, accuracy by group and no-think rates, worked by hand."""

import io
import json

import pytest
from evaluation_folders import FIVE_ROWS, prediction_row
from rich.console import Console

from harken.errors import DataError
from harken.results.evaluation_rows import read_evaluation_rows
from harken.results.evaluation_tables import summary_table
from harken.results.formatting import markdown, percent
from harken.results.summary import summarise
from harken.stats import mean_interval


def test_a_summary_counts_everything_and_leaves_nothing_out():
    summary = summarise(FIVE_ROWS)
    assert summary["n"] == 5
    assert summary["n_unreadable"] == 2
    assert summary["n_cut_at_maximum"] == 1
    assert summary["n_rejected"] == 1
    assert summary["n_hidden_answer"] == 0
    assert summary["reasons"] == {"exact": 3, "no choice": 1, "rejected": 1}
    assert summary["chance"] == pytest.approx((0.25 + 0.25 + 0.5 + 0.25) / 4)
    shares = {name: (group["mean"], group["n"], group["clusters"]) for name, group in summary["accuracy"].items()}
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
    rows = [prediction_row(str(i), i < 4, clip="x" if i < 4 else "y") for i in range(8)]
    total = summarise(rows)["accuracy"]["all"]
    expected = mean_interval([1, 1, 1, 1, 0, 0, 0, 0], list("xxxxyyyy"))
    assert (total["low"], total["high"]) == (expected.low, expected.high)
    apart = summarise([prediction_row(str(i), i < 4) for i in range(8)])["accuracy"]["all"]
    assert apart["low"] > total["low"]


def test_hidden_answers_are_counted_and_not_scored():
    summary = summarise([prediction_row("1", True), prediction_row("2", None)])
    assert (summary["n"], summary["n_hidden_answer"]) == (2, 1)
    assert summary["accuracy"]["all"]["n"] == 1
    assert summarise([prediction_row("1", None)])["accuracy"] == {}


def test_predictions_read_back_whatever_text_the_model_wrote(tmp_path):
    rows = [prediction_row("1", True, completion="a\u2028b\x85c\n"), prediction_row("2", False, completion="")]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "predictions.jsonl").write_text(text, encoding="utf-8")
    assert read_evaluation_rows(tmp_path) == rows
    with pytest.raises(DataError, match=r"no predictions\.jsonl; give a folder that `harken evaluate` wrote"):
        read_evaluation_rows(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"id": "1"', "not JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"[1]", "expected a JSON object"),
        (b'{"id": "1", "clip": "x"}', "key 'task' is missing"),
    ],
)
def test_a_damaged_line_is_named_with_its_place(tmp_path, line, says):
    (tmp_path / "predictions.jsonl").write_bytes(json.dumps(prediction_row("0", True)).encode() + b"\n" + line + b"\n")
    with pytest.raises(DataError, match=rf"predictions\.jsonl:2: {says}"):
        read_evaluation_rows(tmp_path)


def tagged_row(ident, form, difficulty, **changes):
    """A row whose completion has the form think, no_think or malformed."""
    texts = {"think": "<think>b</think><answer>a</answer>", "no_think": "<answer>a</answer>", "malformed": "<think>a"}
    return prediction_row(ident, True, difficulty=difficulty, completion=texts[form], **changes)


def test_no_think_rates_are_shares_of_the_valid_outputs_of_each_difficulty():
    forms = {"easy": "nnnt", "hard": "tttmm", "medium": "m"}
    names = {"n": "no_think", "t": "think", "m": "malformed"}
    rows = [
        tagged_row(f"{level}{i}", names[letter], level)
        for level, letters in forms.items()
        for i, letter in enumerate(letters)
    ]
    rows.append(prediction_row("not put to the model", False, difficulty="easy", completion="", tokens=0))
    summary = summarise(rows)
    assert summary["forms"] == {"think": 4, "no_think": 3, "malformed": 3}
    rates = {name: (rate["mean"], rate["n"]) for name, rate in summary["no_think"].items()}
    assert rates == {"all": (3 / 7, 7), "easy": (3 / 4, 4), "hard": (0.0, 3)}  # no valid output is medium
    expected = mean_interval([1, 1, 1, 0], "abcd")
    assert (summary["no_think"]["easy"]["low"], summary["no_think"]["easy"]["high"]) == (expected.low, expected.high)


def test_a_table_shows_no_think_rates_only_where_outputs_have_tags():
    console = Console(width=80, record=True, file=io.StringIO())
    both = [tagged_row("1", "no_think", "easy"), tagged_row("2", "malformed", "easy")]
    console.print(summary_table("t", summarise(both)))
    hidden = {**tagged_row("3", "no_think", "hard"), "correct": None}
    console.print(summary_table("t", summarise([hidden])))
    text = console.export_text()
    assert text.count("no-think, % of valid outputs") == 2
    assert f"{percent(mean_interval([1.0], ['x']))} of 1" in text
    assert "1 outputs are malformed and in no rate" in " ".join(text.split())
    assert not {"forms", "no_think"} & summarise([prediction_row("1", True)]).keys()
    console.print(summary_table("t", summarise([prediction_row("1", True)])))
    assert "no-think" not in console.export_text()


def test_an_interval_never_reads_as_one_of_no_width():
    assert percent(mean_interval([0.0] * 1000, range(1000))) == "0.0 [0.0, 0.4]"
    assert percent(mean_interval([1.0] * 20, range(20))) == "100.0 [84, 100]"


def test_markdown_has_one_line_a_row_and_keeps_bars_in_names():
    text = markdown(("questions", "n"), [("sound|music", "3")])
    assert text == "| questions | n |\n| --- | ---: |\n| sound\\|music | 3 |"


def test_a_task_and_a_difficulty_of_one_name_are_two_groups():
    rows = [
        prediction_row("1", True, task="hard", difficulty="easy"),
        prediction_row("2", False, task="hard", difficulty="hard"),
        prediction_row("3", True, task="all", difficulty="hard"),
    ]
    accuracies = {name: estimate["mean"] for name, estimate in summarise(rows)["accuracy"].items()}
    assert accuracies == {
        **{"all": pytest.approx(2 / 3), "all (task)": 1, "hard": 0.5, "easy": 1, "hard (difficulty)": 0.5},
        **{"all hard": 1, "hard easy": 1, "hard hard": 0},
    }
