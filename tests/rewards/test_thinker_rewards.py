"""Audio-Thinker's rewards: the values printed in the paper, and batches worked out by hand."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harken.config import Recipe, RewardConfig
from harken.grpo.advantage import advantages
from harken.questions.grader import understand
from harken.rewards import (
    JudgeScores,
    StepTotals,
    compose,
    penalty_factors,
    reward_parts,
    step_totals,
    think_accuracy,
)
from harken.rewards.adaptive import PenaltyFactors, no_think_threshold
from harken.types import Question

QUESTION = Question("q", "What barks?", ("dog", "cat"), 0, None)
NOT_JUDGED = JudgeScores()

RIGHT, WRONG = "<answer>dog</answer>", "<answer>cat</answer>"
THINK_RIGHT, THINK_WRONG = f"<think>it barks</think>{RIGHT}", f"<think>it barks</think>{WRONG}"
MALFORMED = f"it barks</think>{RIGHT}"  # the opening tag dropped, and right

SHARES = st.floats(0, 1)


def respond(*texts: str):
    return [understand(text, QUESTION, letters_shown=False, tokens=5, ended=True) for text in texts]


ADAPTIVE, FORMAT = {"name": "adaptive"}, {"name": "format", "weight": 0.5}


def config(*parts: dict, **adaptive) -> RewardConfig:
    """The parts, with options of the part adaptive."""
    return RewardConfig.model_validate({"parts": parts, "adaptive": adaptive or None})


ATAR = config(ADAPTIVE, FORMAT)
CONSISTENT = config(ADAPTIVE, FORMAT, consistency="equation")
OVERALL = config(ADAPTIVE, FORMAT, {"name": "quality"}, consistency="equation")


def rewards(texts, reward: RewardConfig, progress=0.0, judged=None, group=None, totals=None) -> list[float]:
    responses = respond(*texts)
    scores = judged or [NOT_JUDGED] * len(texts)
    totals = totals or step_totals(responses, scores)
    parts = reward_parts(responses, scores, group or len(texts), reward, "adaptive", {}, totals, progress)
    return compose(parts, {part.name: part.weight for part in reward.parts})


@pytest.mark.parametrize(
    ("share", "progress", "expected"),
    [
        (0.0, 0.0, (1, 0, 0.7358, -1.6321)),
        (0.5, 0.0, (0.6065, -0.3935, 1.2131, -1.3935)),
        (1.0, 0.0, (0.3679, -0.6321, 2, -1)),
        (0.5, 0.5, (0.7788, -0.2212, 1.5576, -1.2212)),
        (0.9, 0.5, (0.6376, -0.3624, 1.9025, -1.0488)),
        (0.0, 1.0, (1, 0, 2, -1)),
        (0.7, 1.0, (1, 0, 2, -1)),
    ],
)
def test_the_four_cases_have_the_papers_values(share, progress, expected):
    g = penalty_factors(share, progress)
    four = [think_accuracy(form, correct, g) for form in ("think", "no_think") for correct in (True, False)]
    assert four == pytest.approx(expected, abs=1e-4)


@given(SHARES, SHARES)
def test_a_malformed_output_is_worth_a_wrong_answer_after_thinking_and_never_more_than_a_right_one(share, progress):
    g = penalty_factors(share, progress)
    wrong = think_accuracy("think", False, g)
    assert think_accuracy("malformed", True, g) == think_accuracy("malformed", False, g) == wrong
    assert wrong <= 0 < think_accuracy("think", True, g)
    assert think_accuracy("no_think", False, g) < 0 < think_accuracy("no_think", True, g)


@given(st.floats(-1, 2), SHARES)
def test_progress_outside_the_run_counts_as_its_ends(progress, share):
    assert penalty_factors(share, progress) == penalty_factors(share, min(1, max(0, progress)))


@given(SHARES)
def test_the_rarer_mode_is_favoured(share):
    g = penalty_factors(share, 0.0)
    assert (g.think >= g.no_think) == (share <= 0.5) or math.isclose(share, 0.5)


@pytest.mark.parametrize(
    ("consistency", "coherent", "incoherent"),
    # lambda = p = 0.5: g_think = exp(-0.25) = 0.7788; wrong after thinking -(1 - 0.7788) = -0.2212, times 1.5 -0.3318
    [("equation", -0.3318, -0.2212), ("correct_only", -0.2212, -0.2212)],
)
def test_as_printed_consistency_takes_more_for_a_wrong_answer_that_its_reasoning_supports(
    consistency, coherent, incoherent
):
    reward = config(ADAPTIVE, consistency=consistency)
    judged = [JudgeScores(consistency=r_c) for r_c in (1.0, 0.0, 1.0, 0.0)]
    totals = StepTotals(think=1, valid=2)
    texts = [THINK_WRONG, THINK_WRONG, THINK_RIGHT, THINK_RIGHT]
    # right after thinking: 0.7788, times 1.5 = 1.1682, in both forms
    expected = [coherent, incoherent, 1.1682, 0.7788]
    assert rewards(texts, reward, 0.5, judged, totals=totals) == pytest.approx(expected, abs=1e-4)


def test_all_think():
    """lambda 1, p 0: R_a 0.3679 and -0.6321; both forms valid, so + 0.5."""
    assert rewards([THINK_RIGHT, THINK_WRONG, THINK_RIGHT, THINK_RIGHT], ATAR) == pytest.approx(
        [0.8679, -0.1321, 0.8679, 0.8679], abs=1e-4
    )


def test_none_thinks():
    """lambda 0, p 0: R_a 0.7358 and -1.6321, + 0.5."""
    assert rewards([RIGHT, WRONG], ATAR) == pytest.approx([1.2358, -1.1321], abs=1e-4)


def test_mixed_with_malformed_halfway():
    """Two of four valid ones think: lambda 0.5, p 0.5. The malformed one: -0.2212 and no 0.5."""
    texts = [THINK_RIGHT, THINK_WRONG, RIGHT, WRONG, MALFORMED]
    assert rewards(texts, ATAR, 0.5) == pytest.approx([1.2788, 0.2788, 2.0576, -0.7212, -0.2212], abs=1e-4)


def test_nothing_valid():
    """Without a valid output lambda is 0: R_a is -(1 - 1) = 0, and no form earns anything."""
    assert rewards([MALFORMED, "", "dog"], ATAR) == [0, 0, 0]


def test_the_end_of_the_schedule_and_no_balance_are_the_plain_values():
    texts = [THINK_RIGHT, THINK_WRONG, RIGHT, WRONG, MALFORMED]
    plain = [1.5, 0.5, 2.5, -0.5, 0.0]
    assert rewards(texts, ATAR, 1.0) == plain
    assert rewards(texts, config(ADAPTIVE, FORMAT, balance=False), 0.0) == plain


def test_consistency_multiplies_negative_rewards_too_or_right_answers_alone():
    """lambda 2/4 = 0.5, p 0: R_a 0.6065, -0.3935, 1.2131, -1.3935. R_c: 1, 1, and 1 for no-think."""
    texts, judged = (
        [THINK_RIGHT, THINK_WRONG, RIGHT, WRONG],
        [JudgeScores(1.0), JudgeScores(1.0), NOT_JUDGED, NOT_JUDGED],
    )
    assert rewards(texts, CONSISTENT, judged=judged) == pytest.approx(
        [0.5 + 0.6065 * 1.5, 0.5 - 0.3935 * 1.5, 0.5 + 1.2131 * 1.5, 0.5 - 1.3935 * 1.5], abs=2e-4
    )
    correct_only = config(ADAPTIVE, FORMAT, consistency="correct_only")
    assert rewards(texts, correct_only, judged=judged) == pytest.approx(
        [0.5 + 0.6065 * 1.5, 0.5 - 0.3935, 0.5 + 1.2131 * 1.5, 0.5 - 1.3935], abs=2e-4
    )


def test_reasoning_that_contradicts_the_answer_and_malformed_outputs_earn_no_consistency():
    """lambda 1, p 0: 0.3679 x 1; malformed -0.6321 x 1."""
    assert rewards([THINK_RIGHT, MALFORMED], CONSISTENT, judged=[JudgeScores(0.0), NOT_JUDGED]) == pytest.approx(
        [0.8679, -0.6321], abs=1e-4
    )


def test_quality_is_the_score_and_for_no_think_the_mean_over_thinking():
    """p 1: R_a 1, 0, 2, 0 (malformed). R_c 1, 0, 1, 0. R_t 0.8, 0.3, their mean 0.55, 0.

    1 x 1.5 + 0.5 + 0.8; 0 + 0.5 + 0.3; 2 x 1.5 + 0.5 + 0.55; 0.
    """
    texts = [THINK_RIGHT, THINK_WRONG, RIGHT, MALFORMED]
    judged = [JudgeScores(1.0, 0.8), JudgeScores(0.0, 0.3), NOT_JUDGED, NOT_JUDGED]
    assert rewards(texts, OVERALL, 1.0, judged) == pytest.approx([2.8, 0.8, 4.05, 0.0], abs=1e-9)


def test_a_failed_judgement_is_left_out_of_its_completion_and_of_the_mean():
    """p 1: R_a 1, 1, 2. The first has no verdicts: its factor is 1, its R_t the mean of the known scores, 0.4."""
    judged = [JudgeScores(None, None), JudgeScores(1.0, 0.4), NOT_JUDGED]
    assert rewards([THINK_RIGHT, THINK_RIGHT, RIGHT], OVERALL, 1.0, judged) == pytest.approx(
        [1 + 0.5 + 0.4, 1.5 + 0.5 + 0.4, 3 + 0.5 + 0.4], abs=1e-9
    )


def test_without_any_readable_quality_the_mean_is_0():
    assert rewards([THINK_RIGHT, RIGHT], OVERALL, 1.0, [JudgeScores(None, None), NOT_JUDGED]) == [1.5, 3.5]


def test_balance_over_the_group_counts_each_prompt_alone():
    """First group all think (lambda 1), second none (lambda 0); over the step 0.5."""
    texts = [THINK_RIGHT, THINK_RIGHT, RIGHT, RIGHT]
    by_group = config(ADAPTIVE, balance_scope="group")
    assert rewards(texts, by_group, group=2) == pytest.approx([0.3679, 0.3679, 0.7358, 0.7358], abs=1e-4)
    assert rewards(texts, config(ADAPTIVE), group=2) == pytest.approx([0.6065, 0.6065, 1.2131, 1.2131], abs=1e-4)


def test_two_processes_that_add_their_totals_reward_as_one():
    texts = [THINK_RIGHT, THINK_WRONG, THINK_RIGHT, RIGHT, MALFORMED, WRONG]
    judged = [
        JudgeScores(1.0, 0.8),
        JudgeScores(0.0, 0.5),
        JudgeScores(None, None),
        NOT_JUDGED,
        NOT_JUDGED,
        NOT_JUDGED,
    ]
    one = rewards(texts, OVERALL, 0.25, judged, group=3)
    halves = [(texts[:3], judged[:3]), (texts[3:], judged[3:])]
    first, second = (step_totals(respond(*half), scores) for half, scores in halves)
    both = first + second
    assert both == StepTotals(think=3, valid=5, quality_sum=1.3, quality_n=2)
    two = [value for half, scores in halves for value in rewards(half, OVERALL, 0.25, scores, totals=both)]
    assert two == one
    alone = [value for half, scores in halves for value in rewards(half, OVERALL, 0.25, scores)]
    assert alone != one


def expected_rewards(p: float, q: float, reward: RewardConfig, progress: float, totals: StepTotals):
    """Mean reward (think, no-think) where p is right without thinking and q with it."""
    earned = rewards([THINK_RIGHT, THINK_WRONG, RIGHT, WRONG], reward, progress, totals=totals)
    return q * earned[0] + (1 - q) * earned[1], p * earned[2] + (1 - p) * earned[3]


@pytest.mark.parametrize(
    ("p", "q", "thinks"),
    [
        (0.70, 0.95, False),  # thinking helps by 25 points and is dropped: (1 + 0.95) / 3 = 0.65
        (0.60, 0.95, True),
        (0.42, 0.42, True),  # it does not help and is kept: 1.42 / 3 = 0.473
        (0.42, 0.20, False),
        (0.98, 0.98, False),
        (0.66, 1.00, True),
    ],
)
def test_at_the_end_no_think_wins_where_more_than_a_third_of_one_plus_q_is_right(p, q, thinks):
    think, no_think = expected_rewards(p, q, ATAR, 1.0, StepTotals(0, 0, 0, 0))
    assert think == pytest.approx(q + 0.5)
    assert no_think == pytest.approx(2 * p - (1 - p) + 0.5)
    assert (think > no_think) == thinks == (p < (1 + q) / 3)


@given(SHARES, SHARES, SHARES, st.integers(0, 8))
def test_the_threshold_is_where_both_modes_earn_the_same_at_any_balance(q, p, progress, n_think):
    totals = StepTotals(n_think, 8, 0, 0)
    threshold = no_think_threshold(q, penalty_factors(n_think / 8, progress))
    think, no_think = expected_rewards(threshold, q, ATAR, progress, totals)
    assert think == pytest.approx(no_think)
    think, no_think = expected_rewards(p, q, ATAR, progress, totals)
    if abs(p - threshold) > 1e-6:
        assert (no_think > think) == (p > threshold)
    assert no_think_threshold(q, PenaltyFactors(1, 1)) == pytest.approx((1 + q) / 3)


PRICED = config(ADAPTIVE, FORMAT, thinking_price=0.1)


def test_a_price_for_thinking_pays_what_is_right_less_the_price_and_the_balance():
    texts = [THINK_RIGHT, THINK_WRONG, RIGHT, WRONG, MALFORMED]
    assert rewards(texts, PRICED, 1.0) == pytest.approx([1.4, 0.4, 1.5, 0.5, -0.1])
    # lambda = 1 / 2 at the first step: both modes lose 1 - exp(-1 / 2)
    balanced = [value - (1 - math.exp(-0.5)) for value in (1.4, 0.4, 1.5, 0.5, -0.1)]
    assert rewards(texts, PRICED, 0.0) == pytest.approx(balanced)


@pytest.mark.parametrize(
    ("p", "q", "thinks"), [(0.70, 0.95, True), (0.42, 0.42, False), (0.40, 0.90, True), (0.95, 0.95, False)]
)
def test_with_a_price_thinking_wins_where_it_helps_by_more_than_the_price(p, q, thinks):
    think, no_think = expected_rewards(p, q, PRICED, 1.0, StepTotals(0, 0, 0, 0))
    assert think - no_think == pytest.approx(q - 0.1 - p)
    assert (think > no_think) == thinks


def expected_gradient(p: float, q: float, m: float, reward: RewardConfig, *, scale: bool) -> float:
    """The gradient of the logit of m, the probability of thinking, over all groups of four completions."""
    texts = [THINK_RIGHT, THINK_WRONG, RIGHT, WRONG]
    chances = [m * q, m * (1 - q), (1 - m) * p, (1 - m) * (1 - p)]
    earned = rewards(texts, reward, 1.0, totals=StepTotals(0, 0, 0, 0))
    groups = list(itertools.product(range(4), repeat=4))
    values = advantages(torch.tensor([[earned[i] for i in group] for group in groups]).double(), scale=scale)
    total = 0.0
    for group, advantage in zip(groups, values.tolist(), strict=True):
        chance = math.prod(chances[i] for i in group)
        total += chance * sum(a * ((i < 2) - m) for i, a in zip(group, advantage, strict=True)) / 4
    return total


@pytest.mark.parametrize("m", [0.1, 0.5, 0.8])
@pytest.mark.parametrize(("p", "q"), [(0.70, 0.95), (0.42, 0.42), (0.40, 0.90), (0.95, 0.95), (0.3, 0.9)])
def test_grpo_moves_towards_the_mode_that_earns_more_on_the_question(p, q, m):
    for reward, gap in ((PRICED, q - 0.1 - p), (ATAR, 1 + q - 3 * p)):
        assert expected_gradient(p, q, m, reward, scale=False) == pytest.approx(0.75 * m * (1 - m) * gap)


@pytest.mark.parametrize(
    ("reward", "q", "thresholds"),
    [
        (ATAR, 0.20, {0.1: 0.426, 0.5: 0.435, 0.9: 0.465}),
        (ATAR, 0.42, {0.1: 0.480, 0.5: 0.482, 0.9: 0.488}),
        (ATAR, 0.90, {0.1: 0.597, 0.5: 0.584, 0.9: 0.537}),
        (ATAR, 0.95, {0.1: 0.609, 0.5: 0.592, 0.9: 0.534}),
        (ATAR, 1.00, {0.1: 0.619, 0.5: 0.600, 0.9: 0.530}),
        (PRICED, 0.95, {0.5: 0.699}),
    ],
)
def test_dividing_by_the_deviation_of_a_group_moves_the_threshold(reward, q, thresholds):
    """Every such threshold in docs/rewards.md, by the probability m of thinking, for groups of eight, which are counted
    here by how many of each kind they hold."""
    earned = rewards([THINK_RIGHT, THINK_WRONG, RIGHT, WRONG], reward, 1.0, totals=StepTotals(0, 0, 0, 0))
    counts = [count for count in itertools.product(range(9), repeat=4) if sum(count) == 8]
    groups = torch.tensor([[earned[i] for i in range(4) for _ in range(count[i])] for count in counts]).double()
    values = advantages(groups, scale=True).tolist()

    def gradient(p, m):
        chances = [m * q, m * (1 - q), (1 - m) * p, (1 - m) * (1 - p)]
        total = 0.0
        for count, advantage in zip(counts, values, strict=True):
            ways = math.factorial(8) / math.prod(math.factorial(n) for n in count)
            thinks = count[0] + count[1]
            moved = sum(advantage[:thinks]) * (1 - m) - sum(advantage[thinks:]) * m
            total += ways * math.prod(chance**n for chance, n in zip(chances, count, strict=True)) * moved / 8
        return total

    for m, threshold in thresholds.items():
        assert gradient(threshold - 0.0006, m) > 0 > gradient(threshold + 0.0006, m)


def test_a_price_and_consistency_exclude_each_other():
    with pytest.raises(ValueError, match="set one of the two"):
        config(ADAPTIVE, thinking_price=0.1, consistency="correct_only")


@pytest.mark.parametrize(
    ("grpo", "refused"),
    [
        ({}, True),
        ({"advantage": "gdpo"}, True),
        ({"scale_rewards": False}, False),
        ({"scale_rewards": "step"}, False),
        ({"advantage": "rloo"}, False),
    ],
)
def test_a_price_needs_advantages_that_are_not_divided_by_a_deviation(grpo, refused):
    values = {
        **{"name": "a", "model": {"path": "m"}, "data": {"train": [{"file": "t.json"}]}, "grpo": grpo},
        **{"prompt": {"style": "adaptive"}, "reward": {"parts": [ADAPTIVE], "adaptive": {"thinking_price": 0.1}}},
    }
    if refused:
        with pytest.raises(ValueError, match=r"grpo.scale_rewards: false"):
            Recipe.model_validate(values)
    else:
        Recipe.model_validate(values)
