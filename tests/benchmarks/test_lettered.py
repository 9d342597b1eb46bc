"""Lettered choices and the letter that the scripts of AIR-Bench and MMSU read; where the two scripts differ."""

from dataclasses import replace

import pytest
from benchmark_files import changed, read_records_of

from harken.benchmarks.airbench import AIRBENCH, airbench_rule
from harken.benchmarks.lettered import letter
from harken.benchmarks.mmsu import MMSU, mmsu_rule
from harken.types import Question

RECORD = {
    **{"id": "q1", "audio_path": "a.wav", "path": "a.wav", "question": "Which animal is heard?"},
    **{"choice_a": "dog", "choice_b": "cat", "choice_c": "cow", "choice_d": "hen", "answer_gt": "cow"},
    **{"task_name": "Sound_AQA", "dataset_name": "avqa", "uniq_id": 17},
}
QUESTION = Question("q", "Which?", ("dog", "Bird", "cat"), 1, None)


@pytest.mark.parametrize("benchmark", [AIRBENCH, MMSU])
@pytest.mark.parametrize(
    ("changes", "choices", "answer"),
    [
        ({"choice_c": None, "choice_d": None}, ("x", "y"), 1),
        ({"choice_c": ..., "choice_d": ...}, ("x", "y"), 1),
        ({"choice_d": ""}, ("x", "y", "z"), 1),
        ({"choice_c": "y"}, ("x", "y", "y", "w"), 1),
        ({"choice_a": 61, "choice_b": 7, "answer_gt": 7}, ("61", "7", "z", "w"), 1),
        ({"answer_gt": " y "}, ("x", "y", "z", "w"), 1),
        ({"answer_gt": None}, ("x", "y", "z", "w"), None),
        ({"answer_gt": ...}, ("x", "y", "z", "w"), None),
    ],
)
def test_lettered_choices_keep_their_letters(tmp_path, benchmark, changes, choices, answer):
    base = {**RECORD, "choice_a": "x", "choice_b": "y", "choice_c": "z", "choice_d": "w", "answer_gt": "y"}
    [question], _ = read_records_of(benchmark, tmp_path / "q.json", changed(base, **changes))
    assert (question.choices, question.answer) == (choices, answer)


@pytest.mark.parametrize("benchmark", [AIRBENCH, MMSU])
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"choice_c": None}, "choice_c is missing; choices: ['dog', 'cat', None, 'hen']"),
        ({"choice_b": None, "choice_c": None, "choice_d": None}, "choice_b is missing"),
        ({"choice_a": ["dog"]}, "choice_a: expected text, found ['dog']"),
        ({"choice_a": True}, "choice_a: expected text, found True"),
        ({"answer_gt": "C"}, "answer 'C' is not one of the 4 choices ['dog', 'cat', 'cow', 'hen']"),
        ({"question": ""}, "question: empty text ''"),
    ],
)
def test_a_bad_lettered_record_is_rejected(tmp_path, benchmark, changes, reason):
    _, [rejected] = read_records_of(benchmark, tmp_path / "q.json", changed(RECORD, **changes))
    assert rejected.reason.startswith(reason)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B", "B"),
        ("  B. Bird\n", "B"),
        ("Bird", "B"),  # the trap: a text that begins with one of the letters
        ("Dog", "D"),
        ("The answer is A.", "A"),
        ("(C)", "C"),
        ("the A ", None),  # spaces at the edges go first: last but one is a space
        ("x\nA\n.", "A"),  # newlines go before counting from the end
        ("b", None),
        ("dog", None),
        ("E", None),
        ("A", "A"),
        ("Ａ", None),
        ("", None),
        (" \n", None),
        ("None", None),
        ("None.", None),
    ],
)
def test_the_letter_is_the_first_character_or_the_last_but_one(text, expected):
    assert letter(text) == expected


@pytest.mark.parametrize(
    ("text", "of_airbench", "of_mmsu"),
    [
        ("B", True, True),
        ("A", False, False),
        ("D", False, False),  # no such choice
        ("dog", None, None),  # dropped
        ("", None, False),  # MMSU keeps it, wrong
        ("None", None, False),
    ],
)
def test_what_each_script_makes_of_a_prediction(text, of_airbench, of_mmsu):
    assert airbench_rule(QUESTION, text) is of_airbench
    assert mmsu_rule(QUESTION, text) is of_mmsu


def test_of_two_choices_with_the_right_text_airbench_takes_the_first_and_mmsu_both():
    question = replace(QUESTION, choices=("cat", "Bird", "Bird"), answer=1)
    assert [airbench_rule(question, chosen) for chosen in "ABC"] == [False, True, False]
    assert [mmsu_rule(question, chosen) for chosen in "ABC"] == [False, True, True]
