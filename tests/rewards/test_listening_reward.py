"""The listening reward: numbers worked by hand, and what a recipe may ask of it."""

import math

import pytest

from harken import compute_rewards
from harken.config import ConfigError, ListeningOptions, Recipe, RewardConfig, parse
from harken.rewards.listening import HeardCompletion, listening
from harken.types import Question

DOG, CAT, OTHER_DOG = (5, 1), (6, 1), (7, 8, 1)


def heard(tokens, with_clip, without_clip, correct):
    return HeardCompletion(tokens, with_clip, without_clip, correct)


def test_a_right_completion_earns_its_gain_in_nats_over_the_bound_and_at_most_1_either_way():
    group = [
        heard(DOG, -0.5, -1.5, True),  # 1 nat of 2
        heard(DOG, -0.5, -9.0, True),  # beyond the bound
        heard(DOG, -4.0, -1.0, True),  # the clip speaks against it
        heard(CAT, -0.5, -9.0, False),
    ]
    assert listening(group, ListeningOptions(bound=2.0)) == [0.5, 1.0, -1.0, 0.0]
    assert listening(group, ListeningOptions(bound=2.0, only_correct=False)) == [0.5, 1.0, -1.0, 1.0]


def test_a_gain_per_token_is_divided_by_the_length():
    assert listening([heard((4, 4, 4, 1), -1.0, -3.0, True)], ListeningOptions(bound=1.0, per_token=True)) == [0.5]


def test_correctness_is_1_minus_the_probability_of_the_groups_right_answers_without_the_clip():
    group = [
        heard(DOG, -0.1, math.log(0.5), True),
        heard(DOG, -0.1, math.log(0.5), True),  # the same answer is counted once
        heard(OTHER_DOG, -3.0, math.log(0.25), True),
        heard(CAT, -2.0, math.log(0.2), False),
    ]
    options = ListeningOptions(measure="correctness")
    assert listening(group, options) == pytest.approx([0.25, 0.25, 0.25, 0.0])
    assert listening(group, options.model_copy(update={"only_correct": False})) == pytest.approx(
        [0.25, 0.25, 0.25, -0.75]
    )


def test_without_the_clip_no_probability_is_above_1():
    group = [heard(DOG, 0.0, 1e-7, True), heard(OTHER_DOG, -1.0, -1e-9, True)]  # rounding
    assert listening(group, ListeningOptions(measure="correctness")) == [0.0, 0.0]


def test_options_need_the_part_and_the_part_needs_clips():
    with pytest.raises(ValueError, match=r"add it to reward\.parts"):
        RewardConfig.model_validate({"parts": [{"name": "accuracy"}], "listening": {"bound": 1.0}})
    assert RewardConfig.model_validate({"parts": [{"name": "listening"}]}).listening_options == ListeningOptions()
    assert RewardConfig().listening_options is None
    values = {"name": "x", "model": {"path": "x"}, "reward": {"parts": [{"name": "listening"}]}}
    sources = [{"file": "a.json", "audio": "none"}]
    with pytest.raises(ConfigError, match=r"no source of data\.train has its clips"):
        parse(Recipe, {**values, "data": {"train": sources}}, "recipe")
    parse(Recipe, {**values, "data": {"train": [*sources, {"file": "b.json"}]}}, "recipe")


def test_it_cannot_be_computed_from_texts_alone():
    with pytest.raises(ConfigError, match="needs a model"):
        compute_rewards("listening", Question("q", "Which?", ("a", "b"), 0, None), ["a"])
