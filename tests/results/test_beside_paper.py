"""Evaluations in the columns of the papers' tables: which figures fit, and why others are refused."""

import io
import json
import re

import pytest
from command_line import harken, refused_by
from evaluation_folders import MMAR, MMAU_ORIGINAL, MMAU_V05, MODALITIES, TASKS, write_evaluation_folder
from rich.console import Console

from harken.errors import DataError
from harken.evaluation.baselines import BASELINES
from harken.papers import TABLES, published_table
from harken.results.beside_paper import BASELINE_NAMES, place_beside_rows, place_in_table
from harken.results.beside_paper_table import beside_paper_rows, beside_paper_table


def refusal(folder, key):
    """Why `harken compare --published` does not put the folder into the table."""
    return refused_by("compare", folder, "--published", key)


@pytest.mark.parametrize(
    ("key", "benchmark", "tasks", "columns"),
    [
        ("omni-r1-v2:I", MMAU_ORIGINAL, TASKS, ["sound", "music", "speech", "all", None, None, None, None]),
        ("omni-r1-v2:II", MMAU_V05, TASKS, ["sound", "music", "speech", "all", None, None, None, None]),
        ("omni-r1-v2:III", MMAR, MODALITIES, [*MODALITIES, "all"]),
        ("omni-r1-v2:IV", MMAU_ORIGINAL, TASKS, ["all", None]),
        ("audio-thinker:1", MMAR, MODALITIES, [None] * 4 + ["sound", "music", "speech", "all", None]),
        ("audio-thinker:2", MMAU_ORIGINAL, TASKS, ["sound", None, "music", None, "speech", None, "all", None]),
        ("audio-thinker:6", MMAR, MODALITIES, [*MODALITIES, "all"]),
    ],
)
def test_a_run_stands_in_the_columns_of_its_own_benchmark(tmp_path, key, benchmark, tasks, columns):
    folder = write_evaluation_folder(tmp_path / "run", 0, tasks=tasks, benchmark=benchmark)
    accuracy = json.loads((folder / "summary.json").read_text())["accuracy"]
    placed = place_in_table(folder, TABLES[key])
    assert [figure and (figure.mean, figure.low, figure.high, figure.n) for figure in placed] == [
        name if name is None else tuple(accuracy[name][part] for part in ("mean", "low", "high", "n"))
        for name in columns
    ]


def test_a_run_without_audio_stands_in_the_column_without_audio_only(tmp_path):
    without = write_evaluation_folder(tmp_path / "without", 0, benchmark=MMAU_ORIGINAL, audio="none")
    assert [figure is None for figure in place_in_table(without, TABLES["omni-r1-v2:IV"])] == [True, False]
    with pytest.raises(
        DataError,
        match=r"no column on mmau original test-mini with audio 'none'; tables that fit the evaluation: .*v2:IV",
    ):
        place_in_table(without, TABLES["omni-r1-v2:I"])
    silent = write_evaluation_folder(tmp_path / "silent", 0, benchmark=MMAU_ORIGINAL, audio="silence")
    with pytest.raises(DataError, match="audio 'silence'; tables that fit the evaluation: none"):
        place_in_table(silent, TABLES["omni-r1-v2:IV"])


def test_a_baseline_uses_no_audio_and_stands_in_columns_with_audio_too(tmp_path):
    assert BASELINES.keys() == BASELINE_NAMES
    guess = write_evaluation_folder(tmp_path / "guess", 0, benchmark=MMAU_ORIGINAL, audio="none", model="random-guess")
    assert None not in place_in_table(guess, TABLES["omni-r1-v2:IV"])
    assert [figure is None for figure in place_in_table(guess, TABLES["audio-thinker:2"])] == [False, True] * 4


def test_the_rows_that_a_recipe_names_stand_beside_its_evaluation(tmp_path):
    rows = {"omni-r1-v2:I": "Qwen2.5-Omni-7B, Reproduced", "omni-r1-v2:II": "Qwen2.5-Omni-7B, Reproduced"}
    placed, reasons = place_beside_rows(
        write_evaluation_folder(tmp_path / "run", 0, tasks=TASKS, benchmark=MMAU_V05), rows
    )
    ((table, figures),) = placed
    assert [row.name for row in table.rows] == ["Qwen2.5-Omni-7B, Reproduced"]
    assert [str(value) for value in table.rows[0].values[:4]] == ["78.1", "65.9", "70.6", "71.5"]
    assert [figure and figure.n for figure in figures] == [6, 7, 8, 21, None, None, None, None]
    (reason,) = reasons
    assert "v05.15.25 and original are different benchmarks" in reason


def test_evaluate_prints_the_papers_row_or_why_there_is_none(tmp_path, shared):
    words = ["evaluate", "random_guess", "--out"]
    data = shared / "benchmarks" / "mmau-test-mini.original.json"
    result = harken(*words, tmp_path / "guess", "--data", data)
    assert result.code == 0, result.err
    assert re.search(r"Random Guess +26\.72 +25\.73 .*\n your run: *\n random-guess +22\.52 +- ", result.out)
    assert harken(*words, tmp_path / "quiet", "--data", data, "--quiet").out == f"{tmp_path / 'quiet'}\n"
    result = harken(*words, tmp_path / "v05", "--data", data.with_name("mmau-test-mini.v05.15.25.json"))
    assert "not beside a paper" in result.out
    assert "are different benchmarks" in " ".join(result.out.split())


def test_a_run_on_the_other_version_is_refused_and_the_message_names_both(tmp_path):
    message = refusal(write_evaluation_folder(tmp_path / "run", 0, benchmark=MMAU_V05), "omni-r1-v2:I")
    assert "the evaluation is on mmau v05.15.25 test-mini" in message
    assert "Omni-R1 v2, Table I is on mmau original test-mini, mmau original test-full" in message
    assert "different benchmarks" in message
    assert message.endswith("tables that fit the evaluation: omni-r1-v2:II, audio-thinker:5")
    back = refusal(write_evaluation_folder(tmp_path / "back", 0, benchmark=MMAU_ORIGINAL), "audio-thinker:5")
    assert "original and v05.15.25 are different benchmarks" in back
    unnamed = {**MMAU_ORIGINAL, "version": ""}
    message = refusal(write_evaluation_folder(tmp_path / "unnamed", 0, benchmark=unnamed), "omni-r1-v2:I")
    assert "an unnamed version and original are different benchmarks" in message


def test_a_run_that_names_no_benchmark_has_no_row(tmp_path):
    run = write_evaluation_folder(tmp_path / "run", 0)
    assert "summary.json names no benchmark" in refusal(run, "omni-r1-v2:I")
    assert "omni-r1-v1:I, omni-r1-v1:II, omni-r1-v2:I" in refusal(run, "omni-r1:I")
    other = write_evaluation_folder(tmp_path / "other", 0, benchmark=MMAR)
    assert "the evaluation is on mmar, but Omni-R1 v2, Table I is on" in refusal(other, "omni-r1-v2:I")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "no summary.json"),
        ("{", "summary.json: "),
        ('{"audio": "clip", "benchmark": "mmau"}', "summary.json: benchmark: "),
        ('{"audio": "clip", "accuracy": {"all": {"mean": "x"}}}', "summary.json: accuracy.all"),
        ('{"benchmark": {"name": "mmau"}}', "summary.json: audio: "),
        (json.dumps({"audio": "clip", "benchmark": MMAU_ORIGINAL, "accuracy": {}}), "the evaluation has no accuracy"),
    ],
)
def test_a_summary_that_cannot_be_used_is_named(tmp_path, text, says):
    if text is not None:
        (tmp_path / "summary.json").write_text(text)
    assert says in refusal(tmp_path, "omni-r1-v2:I")


def test_the_table_is_the_papers_and_yours_with_intervals_and_n(tmp_path):
    run = write_evaluation_folder(tmp_path / "run", 0, benchmark=MMAU_ORIGINAL)
    table = published_table("omni-r1-v2:I")
    placed = place_in_table(run, table)
    rows = beside_paper_rows(table, {"mine": placed})
    assert rows[0] == ["Baselines:", *[""] * 8]
    assert rows[2] == [
        "Audio Flamingo 2, Direct Inference",
        *["61.6", "74.0", "30.9", "55.5", "65.1", "72.9", "40.3", "59.4"],
    ]
    assert rows[13][0] == "Qwen2.5-Omni-7B, SARI ‡"
    whole = placed[3]
    assert whole is not None
    assert [row[4] for row in rows[-3:]] == [
        f"{100 * whole.mean:.1f}",
        f"{100 * whole.low:.0f}-{100 * whole.high:.0f}",
        "21",
    ]
    assert [row[0] for row in rows[-4:]] == ["your run:", "mine", "  95 %", "  n"]
    result = harken("compare", run, run, "--published", "omni-r1-v2:I", "--markdown")
    assert "| Qwen2.5-Omni-7B, Omni-R1 (VGGS-GPT) | 73.6 | 74.3 | 66.1 | 71.3 | 74.1 | 70.8 " in result.out
    assert "| MMAU Test-mini Sound |" in result.out
    assert "‡ scored by an LLM judge" in result.out


@pytest.mark.parametrize("key", TABLES)
def test_every_published_table_shows_every_figure_in_80_columns(key):
    table = published_table(key)
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(beside_paper_table(table, {"runs/a-long-name-of-a-run": [None] * len(table.columns)}))
    text = console.export_text()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    flat = " ".join(text.split())
    for row in table.rows:
        assert " ".join("-" if value is None else str(value) for value in row.values) in flat
