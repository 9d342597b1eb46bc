"""Accuracy and form earn 1 or 0; `compose` adds the weighted parts and never loses one silently."""

import warnings

import pytest
from pydantic import ValidationError

from harken.config import Recipe, RewardConfig
from harken.questions.grader import grade
from harken.rewards import accuracy, compose, format_reward, overlong

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # TRL and what it imports warn while loading
    from trl.rewards import get_soft_overlong_punishment


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


def test_the_overlong_penalty_is_dapos_worked_by_hand_and_trls():
    # eq. 13 with L_max 12 and a buffer of 4: 0 up to 8, then (8 - tokens) / 4
    expected = [0.0] * 8 + [-0.25, -0.5, -0.75, -1.0]
    assert [overlong(tokens, longest=12, buffer=4) for tokens in range(1, 13)] == expected
    for buffer in (1, 5, 12):
        theirs = get_soft_overlong_punishment(12, buffer)([[0] * tokens for tokens in range(15)])
        assert [overlong(tokens, longest=12, buffer=buffer) for tokens in range(15)] == theirs


@pytest.mark.parametrize(
    ("reward", "fault"),
    [
        ({"parts": [{"name": "overlong"}]}, "overlong: set overlong.buffer_tokens"),
        ({"parts": [{"name": "accuracy"}], "overlong": {"buffer_tokens": 4}}, "no part of the reward"),
        ({"parts": [{"name": "overlong"}], "overlong": {"buffer_tokens": 0}}, "greater than or equal to 1"),
    ],
)
def test_the_overlong_penalty_needs_its_buffer_and_no_other_part_has_one(reward, fault):
    with pytest.raises(ValidationError, match=fault):
        RewardConfig.model_validate(reward)


def test_a_buffer_longer_than_any_completion_is_refused():
    values = {
        **{"name": "a", "model": {"path": "p"}, "data": {"train": [{"file": "f"}]}},
        "reward": {"parts": [{"name": "accuracy"}, {"name": "overlong"}], "overlong": {"buffer_tokens": 65}},
    }
    with pytest.raises(ValidationError, match=r"buffer_tokens: 65 is more than grpo.max_completion_tokens, 64"):
        Recipe.model_validate(values)
