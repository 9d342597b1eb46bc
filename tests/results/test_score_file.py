"""`harken score` scores a file of anybody's predictions over all questions of the benchmark."""

import json

import pytest
from benchmark_files import KEY, RECORDS, accuracies, answered, gold, mmar_records, mmau_records, write

from harken.benchmarks.airbench import AIRBENCH
from harken.benchmarks.mmau import MMAU
from harken.benchmarks.registry import find_benchmark
from harken.errors import DataError
from harken.results.prediction_file import prediction_keys, read_prediction_file
from harken.results.score_file import read_benchmark, score_file, write_submission


@pytest.mark.parametrize("name", ["predictions.json", "predictions.jsonl"])
@pytest.mark.parametrize("benchmark", list(RECORDS))
def test_gold_in_the_official_format_scores_100(files, benchmark, name):
    data, predictions = files(benchmark, name=name)
    result = score_file(benchmark, data, predictions)
    assert accuracies(result) == [1.0, 1.0, 1.0]
    assert result["n_missing"] == result["n_unreadable"] == 0
    assert (result["benchmark"], result["prediction_keys"]) == (benchmark, [KEY[benchmark]])
    assert result["official_input"] == "text as given"


@pytest.mark.parametrize("benchmark", list(RECORDS))
def test_a_benchmark_file_of_json_lines_reads_the_same(files, tmp_path, benchmark):
    data, predictions = files(benchmark)
    lines = write(tmp_path / "lines.jsonl", RECORDS[benchmark]())
    assert score_file(benchmark, lines, predictions)["by"] == score_file(benchmark, data, predictions)["by"]


@pytest.mark.parametrize("key", prediction_keys(MMAU))
def test_any_known_key_on_bare_records_in_any_order_is_read(files, key):
    records = mmau_records()
    bare = [{"id": record["id"], key: gold(record)} for record in reversed(records)]
    data, predictions = files(records=records, predictions=bare)
    assert accuracies(score_file("mmau", data, predictions)) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("text", ["", "\n", "[]"])
def test_an_empty_file_scores_0_of_all(files, text):
    data, predictions = files()
    predictions.write_text(text)
    result = score_file("mmau", data, predictions)
    assert accuracies(result) == [0, 0, 0]
    assert [result[key] for key in ("n", "n_missing", "n_official", "n_records")] == [60, 60, 0, 0]


def test_missing_is_an_absent_record_an_absent_key_or_null_and_each_is_counted(files):
    records = mmau_records(30)
    predictions = answered(records, "model_output")
    for record in predictions[:3]:
        del record["model_output"]
    for record in predictions[3:5]:
        record["model_output"] = None
    data, file = files(records=records, predictions=predictions[:-1])
    result = score_file("mmau", data, file)
    assert [result[key] for key in ("n", "n_missing", "n_records")] == [30, 6, 29]
    assert [result[key] for key in ("n_without_prediction_key", "n_null")] == [3, 2]
    assert accuracies(result) == [1.0, 24 / 30, 24 / 30]


def test_the_other_key_may_repeat_the_text_or_be_null(files):
    records = mmau_records(4)
    predictions = answered(answered(records, "model_output"), "model_prediction")
    predictions[0]["model_prediction"] = None
    data, file = files(records=records, predictions=predictions)
    assert accuracies(score_file("mmau", data, file)) == [1.0, 1.0, 1.0]


def test_empty_choices_and_spaces_at_the_edges_are_no_difference(files):
    records = mmar_records(8)
    records[0]["choices"].append("")
    predictions = answered(records, "answer_prediction")
    records[1]["choices"] = [f"{choice} " for choice in records[1]["choices"]]
    data, file = files("mmar", records, predictions)
    assert accuracies(score_file("mmar", data, file)) == [1.0, 1.0, 1.0]


def test_airbench_predictions_are_found_by_their_fields_by_uniq_id_and_by_id(files):
    records = RECORDS["airbench"](1)
    ids = [question.id for question in AIRBENCH.read(files("airbench", records)[0])[0]]
    whole = answered(records, "response")
    for predictions in (
        whole,
        [{"uniq_id": record["uniq_id"], "response": record["response"]} for record in whole],
        [{"id": name, "response": record["response"]} for name, record in zip(ids, whole, strict=True)],
    ):
        data, file = files("airbench", records, predictions)
        assert accuracies(score_file("airbench", data, file)) == [1.0, 1.0, 1.0]


def test_a_uniq_id_that_two_folders_share_needs_the_folder(files):
    records = RECORDS["airbench"](1)[:2]
    records[1]["uniq_id"] = records[0]["uniq_id"]
    data, file = files("airbench", records)
    assert accuracies(score_file("airbench", data, file)) == [1.0, 1.0, 1.0]
    data, file = files("airbench", records, [{"uniq_id": 0, "response": "A"}])
    with pytest.raises(DataError, match="1 have an id that the benchmark file does not have: line 2: '0'"):
        score_file("airbench", data, file)
    data, file = files("airbench", records, [{**answered(records, "response")[0], "dataset_name": None}])
    with pytest.raises(DataError, match="1 have no id: line 2: dataset_name: expected text, found None"):
        score_file("airbench", data, file)


def test_lettered_choices_are_those_that_the_model_was_shown_and_the_answer_is_the_benchmarks(files):
    """One item of many has its choices in another order: its letter means the text that stood behind it."""
    records = [record for record in RECORDS["airbench"]() if record["choice_c"] is not None]
    predictions = answered(records, "response")
    shown = {**records[2], "choice_a": records[2]["choice_b"], "choice_b": records[2]["choice_a"]}
    predictions[2] = answered([shown], "response")[0]
    data, file = files("airbench", records, predictions)
    result = score_file("airbench", data, file)
    assert accuracies(result) == [1.0, 1.0, 1.0]
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
        own_row(question, question.answer if number % 4 else None, f"Drums? I would say D, {number}.")
        for number, question in enumerate(questions)
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
    records = [{key: value for key, value in record.items() if key != "answer"} for record in mmau_records(10)]
    predictions = [{"id": record["id"], "model_output": f"say {record['id']}"} for record in records[:8]]
    data, file = files(records=records, predictions=predictions)
    with pytest.raises(DataError, match=r"10 of 10 questions hide their answer.*--submission"):
        score_file("mmau", data, file)
    out = tmp_path / "new" / "submission.json"
    result = write_submission("mmau", data, file, out)
    assert [result[key] for key in ("n", "n_missing", "submission")] == [10, 2, str(out)]
    written = json.loads(out.read_text(encoding="utf-8"))
    texts = [f"say m{i}" for i in range(8)] + ["", ""]
    assert written == [
        {**record, "model_output": text, "model_prediction": text} for record, text in zip(records, texts, strict=True)
    ]
    assert set(read_prediction_file(out, MMAU, read_benchmark(MMAU, data).questions, data).texts.values()) == set(texts)
