"""JSON within limits, and the shapes of the files of a run folder."""

import re

import pytest

from harken.errors import DataError
from harken.system.json_files import read_json
from harken.system.json_text import parse_json
from harken.system.run_files import JOURNAL, METRICS, PREDICTIONS, REPLIES, SUMMARY, numbered, read_object, read_rows

REFUSED = {
    '{"a": 1, "a": 2}': "the key 'a' twice",
    '{"a": NaN}': "NaN is not JSON",
    '{"a": -Infinity}': "-Infinity is not JSON",
    f'{{"a": {"9" * 400}}}': "an integer of 400 digits",
    '{"a": -1e999}': "the number -1e999 is larger than a float can be",
    "[" * 5000: "nested too deeply",
    "[" * 100 + "]" * 100: "nested too deeply: more than 64 levels",
    '{"a": 1': "not JSON: .* line 1, column 8",
    '{"a": 1}\0\0\0': "NUL bytes from byte 8 on, as a power cut leaves them",
    b'{"a": "\xff"}': "not UTF-8: byte 0xff at byte 7",
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.items())
def test_what_would_fail_later_is_refused_with_the_reason(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_json(text)


def test_values_within_the_limits_are_those_of_the_standard_library():
    assert parse_json('{"a": [1, -2.5, null, true, "\\ud83d\\ude00"], "b": {}}') == {
        "a": [1, -2.5, None, True, "😀"],
        "b": {},
    }
    assert parse_json("[" * 64 + "]" * 64)


ROW = {"id": "1", "clip": "c", "task": "", "difficulty": "", "question": "?", "completion": "a"}
ROW |= {"choices": ["a"], "answer": "a", "correct": True}
WRONG = [
    (METRICS, {"step": "3"}, "key 'step': expected a whole number from 0 on, found '3'"),
    (METRICS, {"step": True}, "key 'step'"),
    (METRICS, {"step": -1}, "key 'step'"),
    (METRICS, {"step": 1, "dev/accuracy": "low"}, "key 'dev/accuracy': expected a number, found 'low'"),
    (METRICS, {"loss": 1.0}, "key 'step' is missing"),
    (PREDICTIONS, {**ROW, "choices": "ab"}, "key 'choices': expected a list of a text, found 'ab'"),
    (PREDICTIONS, {**ROW, "correct": 1}, "key 'correct': expected true or false or null, found 1"),
    (PREDICTIONS, {**ROW, "ended": None}, "key 'ended'"),
    (JOURNAL, {"id": "a", "order": 0, "answers": [["text", 3, True]]}, "key 'answers'"),
    (REPLIES, {"key": "a", "text": "b", "ended": True, "tokens": [1]}, "key 'tokens'"),
]


@pytest.mark.parametrize(("shape", "row", "reason"), WRONG)
def test_a_value_of_another_kind_is_an_error_with_line_and_key(shape, row, reason, tmp_path):
    import json

    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=rf"rows\.jsonl:1: {re.escape(reason)}.*; restore the file"):
        read_rows(file, shape)


def test_an_object_in_an_object_is_checked_too(tmp_path):
    file = tmp_path / "summary.json"
    file.write_text('{"accuracy": {"all": {"mean": 0.5, "low": 0, "high": "x", "n": 3, "clusters": 3}}}')
    with pytest.raises(DataError, match=r"summary\.json: key 'accuracy'.*evaluate again"):
        read_object(file, SUMMARY, "evaluate again")


def test_a_file_that_is_no_object_is_an_error(tmp_path):
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(DataError, match=r"list\.json: expected a JSON object, found list"):
        read_json(tmp_path / "list.json")


def test_only_numbered_entries_are_steps(tmp_path):
    names = ["step_000010", "step_000002", "step_000002_backup", "step_", "step_x", "step_²", "step_" + "9" * 400 + ""]
    for name in names[:6]:
        (tmp_path / name).mkdir()
    (tmp_path / ".step_000003.tmp").mkdir()
    assert [step for step, _ in numbered(tmp_path)] == [2, 10]
    assert numbered(tmp_path / "gone") == []
