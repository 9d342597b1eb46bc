"""Accuracy and form earn 1 or 0; `compose` adds the weighted parts and never loses one silently."""

import pytest

from harken.questions.grader import grade
from harken.rewards import accuracy, compose, format_reward


def test_accuracy_is_the_grade():
    choices = ("dog", "cat")
    assert accuracy(grade("A dog.", choices, 0, letters_shown=False)) == 1.0
    assert accuracy(grade("A cat.", choices, 0, letters_shown=False)) == 0.0
    assert accuracy(grade("A dog or a cat.", choices, 0, letters_shown=False)) == 0.0


@pytest.mark.parametrize(
    ("text", "answer", "think"),
    [
        ("<answer>dog</answer>", 1.0, 0.0),
        ("<think>it barks</think>\n<answer>dog</answer>", 1.0, 1.0),
        ("dog", 0.0, 0.0),
        ("", 0.0, 0.0),
        ("The format is <think> </think> <answer> </answer>", 0.0, 0.0),
        ("I think <answer>dog</answer>", 0.0, 0.0),
        ("<think>it barks<answer>dog</answer>", 0.0, 0.0),
    ],
)
def test_the_format_reward_is_earned_by_the_whole_output_only(text, answer, think):
    assert format_reward(text, "answer") == answer
    assert format_reward(text, "think") == think


def test_a_prompt_that_asks_for_no_tags_has_no_format_reward():
    with pytest.raises(ValueError, match="remove the part format"):
        format_reward("dog", None)


def test_weighted_parts_are_added_per_completion():
    assert compose({"accuracy": [1, 0, 1], "format": [1, 1, 0]}, {"accuracy": 2.0, "format": 0.5}) == [2.5, 0.5, 2.0]


@pytest.mark.parametrize(
    ("parts", "weights", "message"),
    [
        ({"accuracy": [1.0], "format": [1.0]}, {"accuracy": 1.0}, "differ"),
        ({"accuracy": [1.0]}, {"accuracy": 1.0, "format": 1.0}, "differ"),
        ({"accuracy": [1.0], "format": [1.0, 0.0]}, {"accuracy": 1.0, "format": 1.0}, "length"),
        ({}, {}, "no reward part"),
    ],
)
def test_a_part_never_vanishes_unseen(parts, weights, message):
    with pytest.raises(ValueError, match=message):
        compose(parts, weights)
