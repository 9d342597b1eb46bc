"""`harken score` scores a file of anybody's predictions over all questions, or refuses it with counts."""

import contextlib
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from benchmark_files import KEY, RECORDS, answered, gold, mmar_records, mmau_records, write
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.benchmarks.airbench import AIRBENCH
from harken.benchmarks.mmau import MMAU
from harken.benchmarks.registry import find_benchmark
from harken.cli.app import main
from harken.errors import ConfigError, DataError
from harken.results.prediction_file import prediction_keys, read_prediction_file
from harken.results.score_file import read_benchmark, score_file, write_submission

KEYS = prediction_keys(MMAU)
FIGURES = ("official_accuracy", "official_accuracy_all", "choice_accuracy")
REAL = ("original", "v05.15.25")


@pytest.fixture
def files(tmp_path):
    def write_both(benchmark="mmau", records=None, predictions=None, name="predictions.json"):
        records = RECORDS[benchmark]() if records is None else records
        predictions = answered(records, KEY[benchmark]) if predictions is None else predictions
        return write(tmp_path / f"{benchmark}.json", records), write(tmp_path / name, predictions)

    return write_both


def values(result):
    return [result[name]["value"] for name in FIGURES]


def real(shared, version) -> Path:
    return shared / "benchmarks" / f"mmau-test-mini.{version}.json"


@pytest.mark.parametrize("name", ["predictions.json", "predictions.jsonl"])
@pytest.mark.parametrize("benchmark", list(RECORDS))
def test_gold_in_the_official_format_scores_100(files, benchmark, name):
    data, predictions = files(benchmark, name=name)
    result = score_file(benchmark, data, predictions)
    assert values(result) == [1.0, 1.0, 1.0]
    assert result["n_missing"] == result["n_unreadable"] == 0
    assert (result["benchmark"], result["prediction_keys"]) == (benchmark, [KEY[benchmark]])
    assert result["official_input"] == "text as given"


@pytest.mark.parametrize("benchmark", list(RECORDS))
def test_a_benchmark_file_of_json_lines_reads_the_same(files, tmp_path, benchmark):
    data, predictions = files(benchmark)
    lines = write(tmp_path / "lines.jsonl", RECORDS[benchmark]())
    assert score_file(benchmark, lines, predictions)["by"] == score_file(benchmark, data, predictions)["by"]


@pytest.mark.parametrize("key", KEYS)
def test_any_known_key_on_bare_records_in_any_order_is_read(files, key):
    records = mmau_records()
    bare = [{"id": one["id"], key: gold(one)} for one in reversed(records)]
    data, predictions = files(records=records, predictions=bare)
    assert values(score_file("mmau", data, predictions)) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("text", ["", "\n", "[]"])
def test_an_empty_file_scores_0_of_all(files, text):
    data, predictions = files()
    predictions.write_text(text)
    result = score_file("mmau", data, predictions)
    assert values(result) == [0, 0, 0]
    assert [result[key] for key in ("n", "n_missing", "n_official", "n_records")] == [60, 60, 0, 0]


def test_missing_is_an_absent_record_an_absent_key_or_null_and_each_is_counted(files):
    records = mmau_records(30)
    predictions = answered(records, "model_output")
    for one in predictions[:3]:
        del one["model_output"]
    for one in predictions[3:5]:
        one["model_output"] = None
    data, file = files(records=records, predictions=predictions[:-1])
    result = score_file("mmau", data, file)
    assert [result[key] for key in ("n", "n_missing", "n_records")] == [30, 6, 29]
    assert [result[key] for key in ("n_without_prediction_key", "n_null")] == [3, 2]
    assert values(result) == [1.0, 24 / 30, 24 / 30]


def test_the_other_key_may_repeat_the_text_or_be_null(files):
    records = mmau_records(4)
    predictions = answered(answered(records, "model_output"), "model_prediction")
    predictions[0]["model_prediction"] = None
    data, file = files(records=records, predictions=predictions)
    assert values(score_file("mmau", data, file)) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("version", REAL)
def test_real_versions_are_told_apart_and_gold_scores_100(shared, tmp_path, version):
    data = real(shared, version)
    records = json.loads(data.read_text(encoding="utf-8"))
    predictions = write(tmp_path / "anything.jsonl", answered(records, "model_output"))
    result = score_file("mmau", data, predictions)
    assert (result["version"], values(result)) == (version, [1.0, 1.0, 1.0])


@pytest.mark.parametrize("stripped", [False, True], ids=["official format", "id and prediction alone"])
@pytest.mark.parametrize(("version", "other"), [REAL, REAL[::-1]])
def test_predictions_of_the_other_version_are_refused_with_counts(shared, tmp_path, version, other, stripped):
    records = answered(json.loads(real(shared, other).read_text(encoding="utf-8")), "model_output")
    if stripped:
        records = [{"id": one["id"], "model_output": one["model_output"]} for one in records]
    predictions = write(tmp_path / "p.json", records)
    with pytest.raises(DataError) as error:
        score_file("mmau", real(shared, version), predictions)
    said = str(error.value)
    assert f"are of MMAU {other}, and the benchmark file is MMAU {version}: two benchmarks, never mixed" in said
    assert "106 have an id that the benchmark file does not have" in said
    assert ("164 state other choices than the benchmark file, so 81.7 % of 894 items" in said) is not stripped


def test_a_benchmark_file_that_mixes_the_versions_is_refused(shared, tmp_path):
    one, other = (json.loads(real(shared, version).read_text(encoding="utf-8")) for version in REAL)
    ids = {record["id"] for record in one}
    mixed = write(tmp_path / "mixed.json", one[:900] + [record for record in other if record["id"] not in ids])
    with pytest.raises(DataError, match="two benchmarks, never mixed"):
        read_benchmark(MMAU, mixed)


def drop(*keys):
    return lambda one: {key: value for key, value in one.items() if key not in keys}


def put(**changes):
    return lambda one: {**one, **changes}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(id="x"), "1 have an id that the benchmark file does not have: line 13: 'x'"),
        (drop("id"), "1 have no id: line 13: expected text under 'id', found None"),
        (put(id=["m1"]), r"1 have no id: line 13: expected text under 'id', found \['m1'\]"),
        (put(model_output=3), "1 have a prediction that is not text: line 13: model_output: 3"),
        (put(model_output=["a dog"]), r"1 have a prediction that is not text: line 13: model_output: \['a dog'\]"),
        (put(model_output=True), "1 have a prediction that is not text: line 13: model_output: True"),
        (
            put(choices=["a", "b"]),
            r"1 state other choices than .* 66.7 % of 3 items .*: line 13: 'm1': choices \['a', 'b'\], in",
        ),
        (put(choices="['a', 'b']"), "1 state choices that cannot be read: line 13: choices: expected a list of texts"),
        (lambda one: {**one, "choices": one["choices"][::-1]}, "1 state other choices than the benchmark file"),
        (put(model_output="\ud800"), "1 cannot be read: line 13: holds half of a surrogate pair"),
    ],
)
def test_a_record_that_makes_the_figure_untrustworthy_is_refused_with_its_line(files, tmp_path, change, message):
    records = mmau_records(3)
    lines = [answered([one], "model_output")[0] for one in records]
    lines[1] = change(lines[1])
    data = write(tmp_path / "mmau.json", records)
    predictions = tmp_path / "p.jsonl"
    predictions.write_text("\n" + "\n\n\n\n\n\n\n\n\n\n\n".join(map(json.dumps, lines)))
    with pytest.raises(DataError, match=message) as error:
        score_file("mmau", data, predictions)
    assert str(error.value).startswith(f"{predictions}: cannot be scored. Of 3 records\n")


def test_every_kind_of_fault_is_said_at_once_with_its_count(files):
    records = mmau_records(20)
    predictions = answered(records, "model_output")
    predictions += [{"id": f"x{i}", "model_output": "a"} for i in range(5)]
    for one in predictions[6:9]:
        one["choices"] = ["a dog", "a wolf"]
    predictions[9]["model_output"] = 0.5
    data, file = files(records=records, predictions=predictions)
    with pytest.raises(DataError) as error:
        score_file("mmau", data, file)
    said = str(error.value)
    for count in ("Of 25 records", "5 have an id that", "3 state other", "1 have a prediction that"):
        assert count in said
    assert "'x2'; ..." in said
    assert "'x3'" not in said


def test_a_file_without_any_prediction_key_names_its_keys_and_the_known_ones(files):
    data, predictions = files(predictions=mmau_records())
    with pytest.raises(DataError, match=r"none has a prediction key: the first one's keys are 'id', .*known are"):
        score_file("mmau", data, predictions)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"id": "m0", "model_output": "a"}, {"id": ', "1 cannot be read: line 1: the JSON list breaks off"),
        ('{"id": "m0", "model_output": "a"}\n{"id"', "1 cannot be read: line 2: not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('"text"', "1 cannot be read: line 1: expected a JSON object"),
        ('{\n "m0": "a dog"\n}', "3 cannot be read"),
    ],
)
def test_a_broken_file_is_refused(files, text, message):
    data, predictions = files()
    predictions.write_text(text)
    with pytest.raises(DataError, match=message):
        score_file("mmau", data, predictions)


def test_a_benchmark_file_with_a_record_that_cannot_be_used_is_refused(files):
    records = mmau_records(20)
    records[3]["answer"] = "none of them"
    data, predictions = files(records=records)
    with pytest.raises(DataError, match=r"1 of 20 records cannot be used as mmau: .*answer 'none of them' is"):
        score_file("mmau", data, predictions)
    data.write_text("[]")
    with pytest.raises(DataError, match="holds no records"):
        score_file("mmau", data, predictions)
    with pytest.raises(
        ConfigError, match=r"no benchmark is called 'mmmu' .*; one of mmau, mmar, airbench, mmsu, mmau_pro, or"
    ):
        score_file("mmmu", data, predictions)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("id", "choices", "x")), inner, max_size=2)
    ),
    max_leaves=4,
)
keys = st.sampled_from(("id", "uniq_id", "task_name", "choices", "choice_a", "answer", "answer_gt", *KEYS, "choice"))
records_of_any_kind = st.lists(st.dictionaries(keys, json_values | st.sampled_from(("m0", "m1", "a dog")), max_size=5))


@settings(derandomize=True, deadline=None)
@given(records_of_any_kind)
def test_whatever_the_records_hold_they_are_scored_over_all_items_or_refused(tmp_path_factory, records):
    folder = tmp_path_factory.mktemp("any")
    data, predictions = write(folder / "d.json", mmau_records(4)), write(folder / "p.jsonl", records)
    try:
        said = f"{score_file('mmau', data, predictions)['n']} items"
    except DataError as error:
        said = str(error).partition("\n")[0]
    assert said in ("4 items", f"{predictions}: cannot be scored. Of {len(records)} records")


def test_empty_choices_and_spaces_at_the_edges_are_no_difference(files):
    records = mmar_records(8)
    records[0]["choices"].append("")
    predictions = answered(records, "answer_prediction")
    records[1]["choices"] = [f"{one} " for one in records[1]["choices"]]
    data, file = files("mmar", records, predictions)
    assert values(score_file("mmar", data, file)) == [1.0, 1.0, 1.0]


def test_airbench_predictions_are_found_by_their_fields_by_uniq_id_and_by_id(files):
    records = RECORDS["airbench"](1)
    ids = [one.id for one in AIRBENCH.read(files("airbench", records)[0])[0]]
    whole = answered(records, "response")
    for predictions in (
        whole,
        [{"uniq_id": one["uniq_id"], "response": one["response"]} for one in whole],
        [{"id": name, "response": one["response"]} for name, one in zip(ids, whole, strict=True)],
    ):
        data, file = files("airbench", records, predictions)
        assert values(score_file("airbench", data, file)) == [1.0, 1.0, 1.0]


def test_a_uniq_id_that_two_folders_share_needs_the_folder(files):
    records = RECORDS["airbench"](1)[:2]
    records[1]["uniq_id"] = records[0]["uniq_id"]
    data, file = files("airbench", records)
    assert values(score_file("airbench", data, file)) == [1.0, 1.0, 1.0]
    data, file = files("airbench", records, [{"uniq_id": 0, "response": "A"}])
    with pytest.raises(DataError, match="1 have an id that the benchmark file does not have: line 2: '0'"):
        score_file("airbench", data, file)
    data, file = files("airbench", records, [{**answered(records, "response")[0], "dataset_name": None}])
    with pytest.raises(DataError, match="1 have no id: line 2: dataset_name: expected text, found None"):
        score_file("airbench", data, file)


def test_lettered_choices_are_those_that_the_model_was_shown_and_the_answer_is_the_benchmarks(files):
    """One item of many has its choices in another order: its letter means the text that stood behind it."""
    records = [one for one in RECORDS["airbench"]() if one["choice_c"] is not None]
    predictions = answered(records, "response")
    shown = {**records[2], "choice_a": records[2]["choice_b"], "choice_b": records[2]["choice_a"]}
    predictions[2] = answered([shown], "response")[0]
    data, file = files("airbench", records, predictions)
    result = score_file("airbench", data, file)
    assert values(result) == [1.0, 1.0, 1.0]
    assert [item["field"] for item in result["differing_items"]] == ["choices"]


def own_row(question, choice, completion):
    """A line of predictions.jsonl as `harken evaluate` writes it."""
    return {
        **{"id": question.id, "clip": question.id, "task": question.task, "difficulty": question.difficulty},
        **{"question": question.text, "choices": list(question.choices), "answer": question.choices[question.answer]},
        **{"completion": completion, "choice": None if choice is None else question.choices[choice]},
        **{"correct": choice == question.answer, "extracted": completion, "reason": "contained", "tokens": 3},
    }


@pytest.mark.parametrize("benchmark", list(RECORDS))
def test_harkens_own_predictions_are_scored_by_the_choice_that_was_read(files, benchmark):
    """Whatever the model wrote: the official rule gets the bare choice, both figures are those of the evaluation."""
    data, _ = files(benchmark)
    questions = find_benchmark(benchmark).read(data)[0]
    rows = [
        own_row(one, one.answer if i % 4 else None, f"Drums? I would say D, {i}.") for i, one in enumerate(questions)
    ]
    rows[0] |= {"choices": [], "answer": None, "reason": "rejected: clip cannot be decoded"}
    file = write(data.with_name("own.jsonl"), rows)
    result = score_file(benchmark, data, file)
    n, right = len(questions), len(questions) - len(range(0, len(questions), 4))
    assert (result["official_input"], result["n"], result["n_missing"]) == ("bare choice", n, 0)
    assert result["n_unreadable"] == n - right
    assert result["official_accuracy_all"]["value"] == result["choice_accuracy"]["value"] == right / n


def test_a_row_of_harkens_whose_choice_is_no_text_is_refused(files):
    data, _ = files()
    question = MMAU.read(data)[0][0]
    file = write(data.with_name("own.jsonl"), [own_row(question, None, "a") | {"choice": 2}])
    with pytest.raises(DataError, match="1 have a prediction that is not text: line 1: choice: 2"):
        score_file("mmau", data, file)


def test_a_submission_holds_every_record_as_published_with_both_keys(files, tmp_path):
    records = [{key: value for key, value in one.items() if key != "answer"} for one in mmau_records(10)]
    predictions = [{"id": one["id"], "model_output": f"say {one['id']}"} for one in records[:8]]
    data, file = files(records=records, predictions=predictions)
    with pytest.raises(DataError, match=r"10 of 10 questions hide their answer.*--submission"):
        score_file("mmau", data, file)
    out = tmp_path / "new" / "submission.json"
    result = write_submission("mmau", data, file, out)
    assert [result[key] for key in ("n", "n_missing", "submission")] == [10, 2, str(out)]
    written = json.loads(out.read_text(encoding="utf-8"))
    said = [f"say m{i}" for i in range(8)] + ["", ""]
    assert written == [
        {**one, "model_output": text, "model_prediction": text} for one, text in zip(records, said, strict=True)
    ]
    assert set(read_prediction_file(out, MMAU, read_benchmark(MMAU, data).questions, data).texts.values()) == set(said)


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


@pytest.fixture
def harken(tmp_path, monkeypatch):
    """One call of the program in this process, in an empty folder; a traceback is an exception here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def call(*words) -> Said:
        out, err, code = io.StringIO(), io.StringIO(), 0
        monkeypatch.setattr(sys, "argv", ["harken", *map(str, words)])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as stop:
                code = stop.code or 0
        return Said(int(code), out.getvalue(), err.getvalue())

    return call


def test_the_command_prints_json_and_a_table(files, harken):
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


def test_the_table_of_airbench_fits_and_names_every_mean_and_what_is_missing(files, harken):
    records = [one for one in RECORDS["airbench"]() if one["task_name"] != "Audio_Grounding"]
    data, predictions = files("airbench", records)
    table = harken("score", "--benchmark", "airbench", "--data", data, predictions)
    assert (table.code, table.err) == (0, "")
    for name in ("group_music", "official_average", "mean_of_19_tasks", "audio_thinker_SNV", "audio_thinker_mean_of_5"):
        assert f"\n {name} " in table.out
    assert "tasks missing: Audio_Grounding" in " ".join(table.out.split())
    assert max(map(len, table.out.splitlines())) <= 80


def test_letters_are_counted_and_read_only_where_the_prompt_showed_them(files, harken):
    records = mmau_records()
    said = answered(records, "output", lambda one: "ABCDEF"[one["choices"].index(one["answer"])])
    data, predictions = files(records=records, predictions=said)
    plain = harken("score", "--benchmark", "mmau", "--data", data, predictions)
    assert "60 unreadable answers are letters, which --letters reads" in " ".join(plain.out.split())
    told = json.loads(harken("score", "--benchmark", "mmau", "--data", data, predictions, "--letters", "--json").out)
    assert (told["letters_shown"], told["choice_accuracy"]["value"], told["official_accuracy"]["value"]) == (True, 1, 0)


def test_the_command_writes_a_submission(files, harken, tmp_path):
    records = [{key: value for key, value in one.items() if key != "answer"} for one in mmau_records(10)]
    data, predictions = files(records=records, predictions=[{"id": "m3", "response": "a dog"}])
    refused = harken("score", "--benchmark", "mmau", "--data", data, predictions)
    assert (refused.code, refused.out) == (2, "")
    assert "10 of 10 questions hide their answer" in refused.err
    done = harken("score", "--benchmark", "mmau", "--data", data, predictions, "--submission", "s.json")
    assert (done.code, done.err) == (0, "")
    assert done.out == "submission: s.json (10 questions, 9 of them without a prediction)\n"
    assert json.loads((tmp_path / "s.json").read_text())[3]["model_prediction"] == "a dog"


@pytest.mark.parametrize(
    ("words", "said"),
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
def test_the_command_says_what_is_wrong_and_leaves_with_2(files, harken, words, said):
    files(predictions=[{"id": "[red]\x1b[31m", "model_output": "a"}], name="bad.json")
    result = harken("score", *words)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
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
