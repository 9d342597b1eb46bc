"""`harken score` refuses files whose figure could not be trusted, with the line and the number of each fault."""

import json

import pytest
from benchmark_files import answered, mmau_records, write
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.benchmarks.mmau import MMAU
from harken.errors import ConfigError, DataError
from harken.results.prediction_file import prediction_keys
from harken.results.score_file import score_file


def drop(*keys):
    return lambda record: {key: value for key, value in record.items() if key not in keys}


def put(**changes):
    return lambda record: {**record, **changes}


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
        (
            lambda record: {**record, "choices": record["choices"][::-1]},
            "1 state other choices than the benchmark file",
        ),
        (put(model_output="\ud800"), "1 cannot be read: line 13: holds half of a surrogate pair"),
    ],
)
def test_a_record_that_makes_the_figure_untrustworthy_is_refused_with_its_line(files, tmp_path, change, message):
    records = mmau_records(3)
    lines = [answered([record], "model_output")[0] for record in records]
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
    for record in predictions[6:9]:
        record["choices"] = ["a dog", "a wolf"]
    predictions[9]["model_output"] = 0.5
    data, file = files(records=records, predictions=predictions)
    with pytest.raises(DataError) as error:
        score_file("mmau", data, file)
    message = str(error.value)
    for count in ("Of 25 records", "5 have an id that", "3 state other", "1 have a prediction that"):
        assert count in message
    assert "'x2'; ..." in message
    assert "'x3'" not in message


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
        ConfigError, match=r"no benchmark is called 'mmmu' .*; one of mmau, mmar, airbench, mmsu, mmau_pro, adqa, or"
    ):
        score_file("mmmu", data, predictions)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("id", "choices", "x")), inner, max_size=2)
    ),
    max_leaves=4,
)
keys = st.sampled_from(
    ("id", "uniq_id", "task_name", "choices", "choice_a", "answer", "answer_gt", *prediction_keys(MMAU), "choice")
)
records_of_any_kind = st.lists(st.dictionaries(keys, json_values | st.sampled_from(("m0", "m1", "a dog")), max_size=5))


@settings(derandomize=True, deadline=None)
@given(records_of_any_kind)
def test_whatever_the_records_hold_they_are_scored_over_all_items_or_refused(tmp_path_factory, records):
    folder = tmp_path_factory.mktemp("any")
    data, predictions = write(folder / "d.json", mmau_records(4)), write(folder / "p.jsonl", records)
    try:
        outcome = f"{score_file('mmau', data, predictions)['n']} items"
    except DataError as error:
        outcome = str(error).partition("\n")[0]
    assert outcome in ("4 items", f"{predictions}: cannot be scored. Of {len(records)} records")
