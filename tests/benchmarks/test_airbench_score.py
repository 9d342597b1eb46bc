"""AIR-Bench's and MMSU's letter rules by hand, and AIR-Bench's named means."""

from dataclasses import replace

import pytest

from harken.benchmarks import airbench, mmsu
from harken.benchmarks.airbench import FOLDERS, GROUPS, TASKS, averages, letter
from harken.stats import Estimate
from harken.types import Question

QUESTION = Question("q", "Which?", ("dog", "Bird", "cat"), 1, None)


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
    assert airbench.official(QUESTION, text) is of_airbench
    assert mmsu.official(QUESTION, text) is of_mmsu


def test_of_two_choices_with_the_right_text_airbench_takes_the_first_and_mmsu_both():
    question = replace(QUESTION, choices=("cat", "Bird", "Bird"), answer=1)
    assert [airbench.official(question, one) for one in "ABC"] == [False, True, False]
    assert [mmsu.official(question, one) for one in "ABC"] == [False, True, True]


def test_25_folders_are_19_tasks_in_three_groups():
    assert [len(tasks) for tasks in GROUPS.values()] == [9, 4, 6]
    assert len(set(TASKS)) == 19
    assert set(TASKS) == set(FOLDERS)
    assert sum(map(len, FOLDERS.values())) == 25
    assert set(airbench.AUDIO_THINKER.values()) <= set(TASKS)


def test_the_named_means_of_a_published_row():
    """Qwen-Audio-Turbo in AIR-Bench's table of foundation results prints 57.8 as the average of these 19."""
    printed = dict(
        zip(
            TASKS,
            (
                *(45.4, 95.9, 82.5, 60.0, 58.8, 48.1, 56.4, 54.3, 69.3),  # speech
                *(41.6, 78.1, 61.3, 62.8),  # sound
                *(59.6, 77.1, 30.1, 25.1, 62.5, 39.0),  # music
            ),
            strict=True,
        )
    )
    found = averages(
        {
            task: Estimate(share / 100, share / 100 - 0.05, share / 100 + 0.04, 100, 100)
            for task, share in printed.items()
        }
    )
    assert {name: round(100 * one.mean, 2) for name, one in found.items()} == {
        "group_speech": 63.41,
        "group_sound": 60.95,
        "group_music": 48.9,
        "official_average": 57.75,
        "mean_of_19_tasks": 58.31,
        "audio_thinker_mean_of_5": 63.54,
    }
    mean = found["group_sound"]
    assert (mean.mean - mean.low, mean.high - mean.mean) == (pytest.approx(0.025), pytest.approx(0.02))  # over sqrt(4)
    assert mean.n == 400


def test_means_are_over_the_tasks_that_are_there():
    one, other = Estimate(0.5, 0.4, 0.6, 10, 10), Estimate(1.0, 0.7, 1.0, 10, 10)
    found = averages({"Sound_AQA": one, "Audio_Grounding": other, "Something else": one})
    assert set(found) == {"group_sound", "official_average", "mean_of_19_tasks", "audio_thinker_mean_of_5"}
    assert found["group_sound"].mean == found["official_average"].mean == 0.75
    mean = found["audio_thinker_mean_of_5"]
    assert (mean.mean, mean.low, mean.high, mean.n) == (0.5, pytest.approx(0.4), pytest.approx(0.6), 10)
