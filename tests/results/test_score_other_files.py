"""Prediction files as they are found: two keys that differ, mended items, repeated records, published cases."""

import json
from collections import Counter

import pytest
from benchmark_files import RECORDS, accuracies, answered, mmau_records, write
from command_line import harken

from harken.results.score_file import score_file


@pytest.fixture
def scored(tmp_path):
    """Score made-up predictions for made-up records."""

    def run(records, predictions, benchmark="mmau", **options):
        data, file = write(tmp_path / "data.json", records), write(tmp_path / "predictions.json", predictions)
        return score_file(benchmark, data, file, **options)

    return run


def test_of_two_keys_that_differ_the_benchmarks_own_is_read_and_the_other_is_named(scored):
    records = mmau_records(10)
    both = answered(answered(records, "model_output"), "response", lambda one: "Sorry, I cannot tell.")
    result = scored(records, both)
    assert (accuracies(result)[0], result["prediction_keys"]) == (1.0, ["model_output"])
    assert result["other_prediction_keys"] == {"response": 10}
    result = scored(records, both, key="response")
    assert (accuracies(result)[0], result["prediction_keys"]) == (0.0, ["response"])
    assert result["other_prediction_keys"] == {"model_output": 10}


@pytest.mark.parametrize("key", ["my_column", "model_output"])
def test_any_key_can_be_named_also_of_harkens_own_predictions(scored, key):
    records = mmau_records(6)
    own = [{"id": one["id"], "completion": "?", "choice": None, "reason": "no choice"} for one in records]
    named = [{**row, key: one["answer"]} for row, one in zip(own, records, strict=True)]
    result = scored(records, named, key=key)
    assert (accuracies(result), result["official_input"]) == ([1.0] * 3, "text as given")


def test_an_answer_that_was_mended_is_named_and_scored_by_the_benchmark_or_by_the_file(scored):
    records = mmau_records(4)
    old = next(choice for choice in records[2]["choices"] if choice != records[2]["answer"])
    predictions = [{**one, "model_output": one["answer"]} for one in records]
    predictions[2] |= {"answer": old, "model_output": old}
    result = scored(records, predictions)
    assert accuracies(result) == [0.75] * 3
    [item] = result["differing_items"]
    assert item == {"id": "m2", "line": item["line"], "field": "answer", "file": old, "benchmark": records[2]["answer"]}
    assert accuracies(scored(records, predictions, answers="file")) == [1.0] * 3
    assert (result["answers_of"], scored(records, predictions, answers="file")["answers_of"]) == ("benchmark", "file")


@pytest.mark.parametrize("state", ["letter", "index"])
def test_an_answer_stated_by_its_place_is_the_same_answer(scored, state):
    records = mmau_records(4)
    places = [one["choices"].index(one["answer"]) for one in records]
    stated = ["ABCDEFGH"[place] if state == "letter" else place for place in places]
    predictions = [
        {**one, "model_output": one["answer"], "answer": place} for one, place in zip(records, stated, strict=True)
    ]
    assert scored(records, predictions)["differing_items"] == []


@pytest.mark.parametrize("benchmark", list(RECORDS))
def test_a_repeated_record_changes_neither_score_nor_denominator(scored, benchmark):
    records = RECORDS[benchmark]()
    predictions = answered(records, "output")
    wrong = {**predictions[1], "output": "nothing of this"}
    plain = scored(records, predictions, benchmark)
    twice = scored([*records, records[0], records[1]], [*predictions, predictions[0], wrong], benchmark)
    assert accuracies(plain) == accuracies(twice) == [1.0] * 3
    assert plain["n"] == twice["n"] == len(records)
    assert [len(repeat["id"]) > 0 for repeat in twice["repeated_predictions"]] == [True, True]
    assert len(twice["repeated_records"]) == 2
    assert scored(records, [wrong, *predictions], benchmark)["official_accuracy_all"]["value"] < 1  # the first counts


def test_the_case_of_two_keys_says_which_was_scored(shared, tmp_path):
    file = shared / "cases" / "scoring" / "mmar_two_keys.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    records = [
        {
            **{"id": row["id"], "audio_path": f"{row['id']}.wav", "question": "Which?", "modality": "sound"},
            **{"category": "Signal Layer", "sub-category": "x", "answer": row["answer_prediction"]},
            "choices": [row["answer_prediction"], "hm" if number % 2 else "quite another thing"],
        }
        for number, row in enumerate(rows)
    ]
    data = write(tmp_path / "mmar.json", records)
    command = ("score", "--benchmark", "mmar", "--data", data, file)
    plain = harken(*command)
    shown = " ".join(plain.out.split())
    assert (plain.code, plain.err) == (0, "")
    assert "predictions under answer_prediction" in shown
    assert "model_output has another text in 40 records, which was not read: --key model_output reads it" in shown
    result = json.loads(harken(*command, "--json").out)
    assert (result["official_accuracy"]["value"], result["prediction_keys"]) == (1.0, ["answer_prediction"])
    other = json.loads(harken(*command, "--json", "--key", "model_output").out)
    assert (other["official_accuracy"]["value"], other["prediction_keys"]) == (
        0.5,
        ["model_output"],
    )  # "hm" is a choice


def test_the_case_of_sentences_with_letters_scores_as_the_official_script_and_the_strict_score_reads_them(shared):
    """The official script counts 307 of 400 right; every reply names a letter, so the strict score reads the same."""
    folder = shared / "cases" / "scoring"
    result = score_file("airbench", folder / "airbench_meta.json", folder / "airbench_the_answer_is.jsonl")
    assert result["official_accuracy"]["value"] == result["choice_accuracy"]["value"] == 307 / 400
    assert (result["n_official"], result["n_unreadable"]) == (400, 0)


def test_predictions_of_an_earlier_state_of_a_real_version_are_scored_with_the_mended_items_listed(shared, tmp_path):
    data = shared / "benchmarks" / "mmau-test-mini.original.json"
    records = json.loads(data.read_text(encoding="utf-8"))
    earlier = [{**one, "model_output": one["answer"]} for one in records]
    for one in earlier[:20]:
        one["choices"] = [*one["choices"][1:], one["choices"][0]]
    earlier[30]["answer"] = earlier[30]["model_output"] = earlier[30]["choices"][0]
    earlier[30]["answer"] += " as it was"
    earlier[40]["question"] = "In other words?"
    result = score_file("mmau", data, write(tmp_path / "p.jsonl", earlier))
    assert Counter(item["field"] for item in result["differing_items"]) == {"choices": 20, "answer": 1, "question": 1}
    assert (result["version"], result["state"]["published"], result["state"]["differing"]) == (
        "original",
        "2025-03-25",
        [],
    )
    assert result["n"] == 1000
