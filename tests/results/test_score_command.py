"""The command `harken score`: what it prints, writes and refuses, and that it needs no torch."""

import json
import subprocess
import sys

import pytest
from benchmark_files import RECORDS, answered, mmau_records
from command_line import harken

from harken.results.score_file import score_file


@pytest.fixture(autouse=True)
def narrow_terminal(tmp_path, monkeypatch):
    """80 columns, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def test_the_command_prints_json_and_a_table(files):
    records = mmau_records()
    data, predictions = files(records=records, predictions=answered(records, "response")[6:])
    as_json = harken("score", "--benchmark", "mmau", "--data", data, predictions, "--json")
    assert (as_json.code, as_json.err) == (0, "")
    result = json.loads(as_json.out)
    assert result == score_file("mmau", data, predictions)
    assert set(result["official_accuracy"]) == {"value", "ci95"}
    table = harken("score", "--benchmark", "mmau", "--data", data, predictions)
    assert (table.code, table.err) == (0, "")
    [row] = [line.split() for line in table.out.splitlines() if line.split()[:1] == ["all"]]
    # Wilson at 27 of 27 clips is [0.875, 1], at 27 of 30 [0.744, 0.965].
    assert row == ["all", "60", "100.0", "[88,", "100]", "90.0", "90.0", "[74,", "97]"]
    assert "6 missing and 0 unreadable" in " ".join(table.out.split())
    assert max(map(len, table.out.splitlines())) <= 80


def test_the_table_of_airbench_fits_and_names_every_mean_and_what_is_missing(files):
    records = [record for record in RECORDS["airbench"]() if record["task_name"] != "Audio_Grounding"]
    data, predictions = files("airbench", records)
    table = harken("score", "--benchmark", "airbench", "--data", data, predictions)
    assert (table.code, table.err) == (0, "")
    for name in ("group_music", "official_average", "mean_of_19_tasks", "audio_thinker_SNV", "audio_thinker_mean_of_5"):
        assert f"\n {name} " in table.out
    assert "tasks missing: Audio_Grounding" in " ".join(table.out.split())
    assert max(map(len, table.out.splitlines())) <= 80


def test_letters_are_counted_and_read_only_where_the_prompt_showed_them(files):
    records = mmau_records()
    predictions = answered(records, "output", lambda record: "ABCDEF"[record["choices"].index(record["answer"])])
    data, predictions = files(records=records, predictions=predictions)
    plain = harken("score", "--benchmark", "mmau", "--data", data, predictions)
    assert "60 unreadable answers are letters, which --letters reads" in " ".join(plain.out.split())
    told = json.loads(harken("score", "--benchmark", "mmau", "--data", data, predictions, "--letters", "--json").out)
    assert (told["letters_shown"], told["choice_accuracy"]["value"], told["official_accuracy"]["value"]) == (True, 1, 0)


def test_the_command_writes_a_submission(files, tmp_path):
    records = [{key: value for key, value in record.items() if key != "answer"} for record in mmau_records(10)]
    data, predictions = files(records=records, predictions=[{"id": "m3", "response": "a dog"}])
    refused = harken("score", "--benchmark", "mmau", "--data", data, predictions)
    assert (refused.code, refused.out) == (2, "")
    assert "10 of 10 questions hide their answer" in refused.err
    done = harken("score", "--benchmark", "mmau", "--data", data, predictions, "--submission", "s.json")
    assert (done.code, done.err) == (0, "")
    assert done.out == "submission: s.json (10 questions, 9 of them without a prediction)\n"
    assert json.loads((tmp_path / "s.json").read_text())[3]["model_prediction"] == "a dog"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--benchmark", "mmau", "--data", "mmau.json", "bad.json"],
            "1 have an id that the benchmark file does not have",
        ),
        (["--benchmark", "mmau", "--data", "nowhere.json", "bad.json"], "nowhere.json: cannot be read"),
        (["--benchmark", "mmau", "--data", "mmau.json", "."], "cannot be read: Is a directory"),
        (["--benchmark", "mmar", "--data", "mmau.json", "bad.json"], "60 of 60 records cannot be used as mmar"),
        (["--benchmark", "mmmu", "--data", "mmau.json", "bad.json"], "no benchmark is called 'mmmu'"),
        (["--benchmark", "mmar", "--data", "mmau.json", "bad.json", "--submission", "s.json"], "no submission file"),
    ],
)
def test_the_command_says_what_is_wrong_and_leaves_with_2(files, words, message):
    files(predictions=[{"id": "[red]\x1b[31m", "model_output": "a"}], name="bad.json")
    result = harken("score", *words)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert "\x1b[31m" not in result.err


def test_scoring_imports_no_torch(files):
    data, predictions = files()
    words = ["harken", "score", "--benchmark", "mmau", "--data", str(data), str(predictions)]
    code = (
        f"import sys, harken.cli.app; sys.argv = {words!r}; harken.cli.app.app(standalone_mode=False); "
        "sys.exit(7 if 'torch' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
