"""Questions are ordered from easy to hard by pass rate; removed ones are returned, and a missing rate is an error."""

from pathlib import Path

import pytest

from harken.data.curriculum import easy_to_hard, read_pass_rates
from harken.data.question_order import ordered_batch
from harken.errors import DataError
from harken.types import Question

QUESTIONS = [
    Question(name, "?", ("a", "b"), 0, None, source=f"q.jsonl:{i}") for i, name in enumerate("abcdef", start=1)
]
RATES = {"a": 0.5, "b": 1.0, "c": 0.875, "d": 0.0, "e": 0.5, "f": 0.125}


def test_the_highest_pass_rate_comes_first_and_what_teaches_nothing_is_dropped():
    kept, dropped = easy_to_hard(QUESTIONS, RATES, Path("rates.jsonl"))
    assert [question.id for question in kept] == ["c", "a", "e", "f"]
    assert [question.id for question in dropped] == ["b", "d"]


def test_a_question_without_a_rate_is_an_error_that_names_it():
    with pytest.raises(
        DataError, match=r"rates\.jsonl: 1 of 6 questions have no pass rate, the first is 'f' \(q\.jsonl:6"
    ):
        easy_to_hard(QUESTIONS, {name: rate for name, rate in RATES.items() if name != "f"}, Path("rates.jsonl"))


def test_where_nothing_is_left_it_is_an_error():
    with pytest.raises(DataError, match="nothing to learn from"):
        easy_to_hard(QUESTIONS, dict.fromkeys("abcdef", 1.0), Path("rates.jsonl"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "a", "pass_rate": 1.5}', r"rates\.jsonl:2: pass_rate: expected a number from 0 to 1, found 1\.5"),
        ('{"id": "a", "pass_rate": NaN}', "found nan"),
        ('{"id": "a", "pass_rate": true}', "found True"),
        ('{"id": "a"}', "found None"),
        ('{"id": 3, "pass_rate": 0.5}', "id: expected text"),
        ('{"id": "z", "pass_rate": 0.5}', "id: expected text that no earlier line has, found 'z'"),
        ("[", "rates.jsonl:2: not JSON"),
    ],
)
def test_a_bad_rate_is_an_error_with_its_place(tmp_path, line, message):
    file = tmp_path / "rates.jsonl"
    file.write_text('{"id": "z", "pass_rate": 0.25, "n": 8}\n' + line + "\n")
    with pytest.raises(DataError, match=message):
        read_pass_rates(file)
    file.write_text('{"id": "z", "pass_rate": 1}\n')
    assert read_pass_rates(file) == {"z": 1.0}


def test_a_run_climbs_once_through_its_questions_whatever_its_length():
    assert [ordered_batch(4, 2, step, 2) for step in range(2)] == [[0, 1], [2, 3]]
    assert [ordered_batch(9, 1, step, 3) for step in range(3)] == [[0], [3], [6]]
    assert [ordered_batch(3, 2, step, 3) for step in range(3)] == [[0, 1], [2, 0], [1, 2]]


@pytest.mark.parametrize("arguments", [(0, 1, 0, 1), (1, 0, 0, 1), (1, 1, 1, 1), (1, 1, -1, 1)])
def test_a_step_outside_the_run_has_no_batch(arguments):
    with pytest.raises(ValueError, match="no batch"):
        ordered_batch(*arguments)
