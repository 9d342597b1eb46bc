"""`harken compare` on folders of predictions: pairs, several folders, seeds, published tables, and what it refuses."""

import io
import json
import random
import re

import pytest
from command_line import harken
from rich.console import Console

from harken.errors import DataError
from harken.evaluation.baselines import BASELINES
from harken.papers import TABLES, published_table
from harken.results.beside_paper import BASELINE_NAMES, place_beside_rows, place_in_table
from harken.results.beside_paper_table import beside_paper_rows, beside_paper_table
from harken.results.compare import compare_folders
from harken.results.comparison_tables import comparison_table
from harken.results.summary import summarise

ORIGINAL = {"name": "mmau", "version": "original", "part": "test-mini"}
V05 = {**ORIGINAL, "version": "v05.15.25"}
MMAR = {"name": "mmar", "version": "", "part": ""}
AUDIO_FLAMINGO_2 = ["61.6", "74.0", "30.9", "55.5", "65.1", "72.9", "40.3", "59.4"]
TASKS = {"sound": 6, "music": 7, "speech": 8}
MODALITIES = {
    **{"sound": 5, "music": 5, "speech": 5, "mix-sound-music": 11, "mix-sound-speech": 5, "mix-music-speech": 5},
    "mix-sound-music-speech": 5,
}


def evaluation(folder, seed, *, tasks=TASKS, accuracy=0.6, benchmark=None, audio="clip", **changes):
    """An evaluation folder as `harken evaluate` leaves it, with figures by chance."""
    rng = random.Random(seed)
    rows = [
        {
            **{"id": f"{task}-{i}", "clip": f"{task}-{i // 2}.wav", "task": task, "difficulty": "easy"},
            **{"question": "which?", "choices": ["a", "b"], "answer": "a", "choice": "a", "completion": "a"},
            **{"correct": rng.random() < accuracy, "reason": "exact", "tokens": 2, "ended": True},
        }
        for task, n in tasks.items()
        for i in range(n)
    ]
    summary = {**summarise(rows), "audio": audio, **({} if benchmark is None else {"benchmark": benchmark}), **changes}
    folder.mkdir(parents=True)
    (folder / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return folder


def refused(*words):
    said = harken("compare", *words)
    assert said.code == 2
    assert "Traceback" not in said.err
    return " ".join(said.err.replace("│", " ").split())


def test_each_further_folder_is_compared_with_the_first(tmp_path):
    first, second, third = (evaluation(tmp_path / name, seed) for seed, name in enumerate("abc"))
    said = harken("compare", first, second, third)
    assert said.code == 0, said.err
    assert said.out.count("gain, points") == 2
    both = harken("compare", first, second, third, "--markdown").out
    alone = [harken("compare", first, other, "--markdown").out for other in (second, third)]
    titles = [f"{first} -> {other}\n\n" for other in (second, third)]
    assert both == "".join(title + text for title, text in zip(titles, alone, strict=True))
    assert alone[0].splitlines()[0] == "| questions | n | before, % | after, % | gain, points | p |"
    assert alone[0] != alone[1]


def test_patterns_over_seeds_stay_pairs_in_order(tmp_path):
    for run in ("base", "one", "two"):
        for seed in range(2):
            evaluation(tmp_path / f"s{seed}" / run, f"{run}{seed}")
    said = harken("compare", *(tmp_path / "s*" / run for run in ("base", "one", "two")))
    assert said.code == 0, said.err
    assert said.out.count("Mean of 2 seeds") == 2
    assert "2 folders before and 1 after" in refused(tmp_path / "s*" / "base", tmp_path / "s0" / "one")


def test_what_cannot_be_compared_is_said_with_the_folders_and_counts(tmp_path):
    a, b = evaluation(tmp_path / "a", 0), evaluation(tmp_path / "b", 0, tasks={**TASKS, "sound": 4})
    with pytest.raises(
        DataError, match=r"/a and .*/b: the questions are not the same: 2 only before \(such as 'sound-4'\)"
    ):
        compare_folders(a, b)
    assert "2 only before (such as 'sound-4'), of 21 and 19" in refused(a, b)
    assert "give two folders or more" in refused(a)
    assert "nothing matches" in refused(a, tmp_path / "x*")


def test_a_comparison_shows_every_figure_in_80_columns(tmp_path):
    comparisons = compare_folders(*(evaluation(tmp_path / name, name, tasks=MODALITIES) for name in "ab"))
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(comparison_table("t", comparisons))
    text = console.export_text()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    for one in comparisons:
        assert f"{one.p:.3f}" in text


@pytest.mark.parametrize(
    ("key", "benchmark", "tasks", "columns"),
    [
        ("omni-r1-v2:I", ORIGINAL, TASKS, ["sound", "music", "speech", "all", None, None, None, None]),
        ("omni-r1-v2:II", V05, TASKS, ["sound", "music", "speech", "all", None, None, None, None]),
        ("omni-r1-v2:III", MMAR, MODALITIES, [*MODALITIES, "all"]),
        ("omni-r1-v2:IV", ORIGINAL, TASKS, ["all", None]),
        ("audio-thinker:1", MMAR, MODALITIES, [None] * 4 + ["sound", "music", "speech", "all", None]),
        ("audio-thinker:2", ORIGINAL, TASKS, ["sound", None, "music", None, "speech", None, "all", None]),
        ("audio-thinker:6", MMAR, MODALITIES, [*MODALITIES, "all"]),
    ],
)
def test_a_run_stands_in_the_columns_of_its_own_benchmark(tmp_path, key, benchmark, tasks, columns):
    folder = evaluation(tmp_path / "run", 0, tasks=tasks, benchmark=benchmark)
    accuracy = json.loads((folder / "summary.json").read_text())["accuracy"]
    placed = place_in_table(folder, TABLES[key])
    assert [one if one is None else (one.mean, one.low, one.high, one.n) for one in placed] == [
        name if name is None else tuple(accuracy[name][part] for part in ("mean", "low", "high", "n"))
        for name in columns
    ]


def test_a_run_without_audio_stands_in_the_column_without_audio_only(tmp_path):
    unheard = evaluation(tmp_path / "unheard", 0, benchmark=ORIGINAL, audio="none")
    assert [one is None for one in place_in_table(unheard, TABLES["omni-r1-v2:IV"])] == [True, False]
    with pytest.raises(
        DataError,
        match=r"no column on mmau original test-mini with audio 'none'; tables that fit the evaluation: .*v2:IV",
    ):
        place_in_table(unheard, TABLES["omni-r1-v2:I"])
    silent = evaluation(tmp_path / "silent", 0, benchmark=ORIGINAL, audio="silence")
    with pytest.raises(DataError, match="audio 'silence'; tables that fit the evaluation: none"):
        place_in_table(silent, TABLES["omni-r1-v2:IV"])


def test_a_baseline_hears_nothing_and_stands_in_columns_with_audio_too(tmp_path):
    assert BASELINES.keys() == BASELINE_NAMES
    guess = evaluation(tmp_path / "guess", 0, benchmark=ORIGINAL, audio="none", model="random-guess")
    assert None not in place_in_table(guess, TABLES["omni-r1-v2:IV"])
    assert [one is None for one in place_in_table(guess, TABLES["audio-thinker:2"])] == [False, True] * 4


def test_the_rows_that_a_recipe_names_stand_beside_its_evaluation(tmp_path):
    rows = {"omni-r1-v2:I": "Qwen2.5-Omni-7B, Reproduced", "omni-r1-v2:II": "Qwen2.5-Omni-7B, Reproduced"}
    placed, reasons = place_beside_rows(evaluation(tmp_path / "run", 0, tasks=TASKS, benchmark=V05), rows)
    ((table, figures),) = placed
    assert [row.name for row in table.rows] == ["Qwen2.5-Omni-7B, Reproduced"]
    assert [str(value) for value in table.rows[0].values[:4]] == ["78.1", "65.9", "70.6", "71.5"]
    assert [one and one.n for one in figures] == [6, 7, 8, 21, None, None, None, None]
    (reason,) = reasons
    assert "v05.15.25 and original are different benchmarks" in reason


def test_evaluate_prints_the_papers_row_or_why_there_is_none(tmp_path, shared):
    words = ["evaluate", "random_guess", "--out"]
    data = shared / "benchmarks" / "mmau-test-mini.original.json"
    said = harken(*words, tmp_path / "guess", "--data", data)
    assert said.code == 0, said.err
    assert re.search(r"Random Guess +26\.72 +25\.73 .*\n your run: *\n random-guess +22\.52 +- ", said.out)
    assert harken(*words, tmp_path / "quiet", "--data", data, "--quiet").out == f"{tmp_path / 'quiet'}\n"
    said = harken(*words, tmp_path / "v05", "--data", data.with_name("mmau-test-mini.v05.15.25.json"))
    assert "not beside a paper" in said.out
    assert "are different benchmarks" in " ".join(said.out.split())


def test_a_run_of_the_other_version_is_refused_and_told_both(tmp_path):
    said = refused(evaluation(tmp_path / "run", 0, benchmark=V05), "--published", "omni-r1-v2:I")
    assert "the evaluation is on mmau v05.15.25 test-mini" in said
    assert "Omni-R1 v2, Table I is on mmau original test-mini, mmau original test-full" in said
    assert "different benchmarks" in said
    assert said.endswith("tables that fit the evaluation: omni-r1-v2:II, audio-thinker:5")
    back = refused(evaluation(tmp_path / "back", 0, benchmark=ORIGINAL), "--published", "audio-thinker:5")
    assert "original and v05.15.25 are different benchmarks" in back
    unnamed = {**ORIGINAL, "version": ""}
    said = refused(evaluation(tmp_path / "unnamed", 0, benchmark=unnamed), "--published", "omni-r1-v2:I")
    assert "an unnamed version and original are different benchmarks" in said


def test_a_run_that_does_not_say_its_benchmark_has_no_row(tmp_path):
    run = evaluation(tmp_path / "run", 0)
    assert "summary.json names no benchmark" in refused(run, "--published", "omni-r1-v2:I")
    assert "omni-r1-v1:I, omni-r1-v1:II, omni-r1-v2:I" in refused(run, "--published", "omni-r1:I")
    other = evaluation(tmp_path / "other", 0, benchmark=MMAR)
    assert "the evaluation is on mmar, but Omni-R1 v2, Table I is on" in refused(other, "--published", "omni-r1-v2:I")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "no summary.json"),
        ("{", "summary.json: "),
        ('{"audio": "clip", "benchmark": "mmau"}', "summary.json: benchmark: "),
        ('{"audio": "clip", "accuracy": {"all": {"mean": "x"}}}', "summary.json: accuracy.all"),
        ('{"benchmark": {"name": "mmau"}}', "summary.json: audio: "),
        (json.dumps({"audio": "clip", "benchmark": ORIGINAL, "accuracy": {}}), "the evaluation has no accuracy"),
    ],
)
def test_a_summary_that_cannot_be_used_is_named(tmp_path, text, says):
    if text is not None:
        (tmp_path / "summary.json").write_text(text)
    assert says in refused(tmp_path, "--published", "omni-r1-v2:I")


def test_the_table_is_the_papers_and_yours_with_intervals_and_n(tmp_path):
    run = evaluation(tmp_path / "run", 0, benchmark=ORIGINAL)
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
    said = harken("compare", run, run, "--published", "omni-r1-v2:I", "--markdown")
    assert "| Qwen2.5-Omni-7B, Omni-R1 (VGGS-GPT) | 73.6 | 74.3 | 66.1 | 71.3 | 74.1 | 70.8 | 68.7 | 71.2 |" in said.out
    assert "| MMAU Test-mini Sound |" in said.out
    assert "‡ scored by an LLM judge" in said.out


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
