"""Advantages compare each completion with the other completions of its prompt."""

import inspect
import math
import re
import statistics
import textwrap
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harken.config import GrpoConfig
from harken.grpo.advantage import (
    OVER_STEP,
    advantages,
    equal_group_share,
    group_values,
    moments,
    over_step,
    scaled_by_step,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # TRL and what it imports warn while loading
    from trl.trainer import GRPOConfig, RLOOConfig, grpo_trainer, rloo_trainer

P, G = 4, 3
PARTS = {
    # the accuracy of the last group is equal, and so is the format of the first
    "accuracy": [1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0],
    "format": [1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0],
}
WEIGHTS = {"accuracy": 1.0, "format": 0.5}
REWARDS = torch.tensor([[a + 0.5 * f] for a, f in zip(*PARTS.values(), strict=True)], dtype=torch.float64).view(P, G)
TOKENS = [3, 1, 2, 5, 4, 1, 2, 2, 3, 1, 1, 6]


def whole(estimator, rewards=REWARDS, parts=PARTS, scale=True):
    """[P * G] advantages of a step."""
    values = group_values(estimator, rewards, parts, WEIGHTS, scale=scale).flatten()
    if estimator in OVER_STEP:
        counts = TOKENS if OVER_STEP[estimator] == "tokens" else [1] * len(values)
        values = over_step(estimator, values, moments(values.tolist(), counts))
    return values.tolist()


def trl_advantages(module, trainer, **attributes):
    """The lines of TRL that turn the rewards of each function into advantages, run on PARTS."""
    source = inspect.getsource(trainer._generate_and_score_completions).splitlines()
    first = next(i for i, line in enumerate(source) if "unscorable_mask = torch.isnan" in line)
    last = next(i for i, line in enumerate(source) if "advantages = torch.nan_to_num" in line)
    names = {
        **vars(module),
        "self": SimpleNamespace(
            reward_weights=torch.tensor(list(WEIGHTS.values()), dtype=torch.float64), reward_funcs=PARTS, **attributes
        ),
        "rewards_per_func": torch.tensor(list(PARTS.values()), dtype=torch.float64).T,
        **{"num_generations": G, "device": "cpu"},
    }
    exec(textwrap.dedent("\n".join(source[first : last + 1])), names)
    return names["advantages"].tolist()


def test_advantages_worked_by_hand():
    # mean 0.25, unbiased std of 1, 0, 0, 0 is 0.5
    rewards = torch.tensor([[1.0, 0, 0, 0], [1, 1, 1, 1]], dtype=torch.float64)
    expected = [[0.75 / 0.5001, -0.25 / 0.5001, -0.25 / 0.5001, -0.25 / 0.5001], [0, 0, 0, 0]]
    torch.testing.assert_close(advantages(rewards, scale=True), torch.tensor(expected, dtype=torch.float64))
    torch.testing.assert_close(advantages(rewards, scale=False)[0], torch.tensor([0.75, -0.25, -0.25, -0.25]).double())


@given(st.integers(2, 6).flatmap(lambda g: st.lists(st.lists(st.floats(-3, 3), min_size=g, max_size=g), min_size=1)))
def test_each_group_equals_the_slow_form(rows):
    found = advantages(torch.tensor(rows, dtype=torch.float64), scale=True)
    for row, values in zip(rows, found.tolist(), strict=True):
        mean, std = statistics.fmean(row), statistics.stdev(row)
        assert values == pytest.approx([(r - mean) / (std + 1e-4) for r in row], abs=1e-9)


def test_equal_rewards_teach_nothing_even_where_they_have_no_exact_binary_form():
    found = advantages(torch.full((3, 7), 0.1), scale=True)
    assert found.dtype == torch.float32
    assert found.abs().max() < 1e-11


def test_share_of_groups_with_equal_rewards():
    assert equal_group_share(torch.tensor([[1.0, 1], [0, 1], [0, 0], [1, 0]])) == 0.5


@pytest.mark.parametrize("shape", [(4,), (2, 1), (2, 2, 2)])
def test_a_group_needs_two_completions(shape):
    with pytest.raises(ValueError, match=r"\[P, G\]"):
        advantages(torch.zeros(shape), scale=True)


def test_group_rloo_and_gdpo_equal_trl():
    grpo = {"scale_rewards": "group", "multi_objective_aggregation": "sum_then_normalize"}
    assert whole("group") == pytest.approx(trl_advantages(grpo_trainer, grpo_trainer.GRPOTrainer, **grpo), abs=1e-12)
    rloo = {"reward_clip_range": None, "beta": 0.0, "normalize_advantages": False}
    assert whole("rloo") == pytest.approx(trl_advantages(rloo_trainer, rloo_trainer.RLOOTrainer, **rloo), abs=1e-12)
    gdpo = grpo | {"multi_objective_aggregation": "normalize_then_sum"}
    # TRL's Bessel correction 12 / 11 is a float32
    assert whole("gdpo") == pytest.approx(trl_advantages(grpo_trainer, grpo_trainer.GRPOTrainer, **gdpo), abs=1e-7)


def test_rewards_scaled_by_their_deviation_over_the_step_equal_trls_batch_and_the_slow_form():
    own = scaled_by_step(
        group_values("group", REWARDS, PARTS, WEIGHTS, scale=False), moments(REWARDS.flatten().tolist(), [1] * P * G)
    ).flatten()
    batch = {"scale_rewards": "batch", "multi_objective_aggregation": "sum_then_normalize"}
    assert own.tolist() == pytest.approx(trl_advantages(grpo_trainer, grpo_trainer.GRPOTrainer, **batch), abs=1e-7)
    std = statistics.stdev(REWARDS.flatten().tolist())
    slow = [(value - statistics.fmean(row)) / (std + 1e-4) for row in REWARDS.tolist() for value in row]
    assert own.tolist() == pytest.approx(slow, abs=1e-12)


def test_rloo_compares_with_the_others_of_the_group():
    slow = [row[i] - statistics.fmean(row[:i] + row[i + 1 :]) for row in REWARDS.tolist() for i in range(G)]
    assert whole("rloo") == pytest.approx(slow, abs=1e-12)


def test_gdpo_normalises_each_part_in_its_group_and_the_sum_over_the_step():
    slow = [0.0] * (P * G)
    for name, values in PARTS.items():
        for p in range(P):
            own = values[p * G : (p + 1) * G]
            for g, value in enumerate(own):
                normal = (value - statistics.fmean(own)) / (statistics.stdev(own) + 1e-4)
                slow[p * G + g] += WEIGHTS[name] * normal
    mean, std = statistics.fmean(slow), statistics.stdev(slow)
    assert whole("gdpo") == pytest.approx([(value - mean) / (std + 1e-4) for value in slow], abs=1e-12)


@pytest.mark.parametrize("estimator", ["reinforce_pp", "reinforce_pp_baseline"])
def test_reinforce_pp_normalises_over_the_tokens_of_the_step(estimator):
    """Every token is written out, as in verl's masked_whiten."""
    rows = REWARDS.tolist()
    values = [r - (statistics.fmean(row) if estimator.endswith("baseline") else 0) for row in rows for r in row]
    tokens = [value for value, n in zip(values, TOKENS, strict=True) for _ in range(n)]
    mean, variance = statistics.fmean(tokens), statistics.variance(tokens)
    assert whole(estimator) == pytest.approx([(v - mean) / math.sqrt(variance + 1e-8) for v in values], abs=1e-12)


def test_two_sums_that_are_equal_differ_in_gdpo_where_their_parts_vary_differently():
    """GDPO's case: 1 + 0 and 0 + 1 are one reward, but the second part is rarer in its group."""
    parts = {"accuracy": [1.0, 1.0, 0.0, 0.0], "format": [0.0, 0.0, 0.0, 1.0]}
    rewards = torch.tensor([[1.0, 1.0, 0.0, 1.0]], dtype=torch.float64)
    plain = group_values("group", rewards, parts, {"accuracy": 1, "format": 1}, scale=True)[0].tolist()
    decoupled = group_values("gdpo", rewards, parts, {"accuracy": 1, "format": 1}, scale=True)[0].tolist()
    assert plain[0] == plain[3]
    # accuracy: std of 1, 1, 0, 0 is 0.57735; format: std of 0, 0, 0, 1 is 0.5
    assert decoupled[0] == pytest.approx(0.5 / 0.57745 - 0.25 / 0.5001, abs=1e-4)
    assert decoupled[3] == pytest.approx(-0.5 / 0.57745 + 0.75 / 0.5001, abs=1e-4)


@pytest.mark.parametrize("estimator", ["group", "rloo", "gdpo", "reinforce_pp", "reinforce_pp_baseline"])
def test_a_better_completion_of_a_group_has_the_larger_advantage(estimator):
    """A flipped sign turns the order around."""
    found = whole(estimator)
    both, rewards = list(zip(*PARTS.values(), strict=True)), REWARDS.flatten().tolist()
    pairs = [(p * G + i, p * G + j) for p in range(P) for i in range(G) for j in range(G)]
    better = [(i, j) for i, j in pairs if rewards[i] > rewards[j] and all(map(float.__ge__, both[i], both[j]))]
    assert len(better) > 5
    assert all(found[i] > found[j] for i, j in better)


@pytest.mark.parametrize("estimator", ["group", "rloo", "gdpo", "reinforce_pp_baseline"])
def test_a_step_of_equal_groups_teaches_nothing(estimator):
    parts = {name: [0.1] * (P * G) for name in PARTS}
    assert max(map(abs, whole(estimator, torch.full((P, G), 0.15, dtype=torch.float64), parts))) < 1e-11


def test_moments_do_not_depend_on_the_order_of_the_values():
    values, counts = [0.1 * i for i in range(30)], list(range(30))
    pairs = sorted(zip(values, counts, strict=True), key=lambda pair: -pair[0] % 0.7)
    shuffled = moments(*zip(*pairs, strict=True))
    assert moments(values, counts) == shuffled
    assert moments([], []).variance == moments([2.0], [1]).variance == 0.0


def test_the_keys_that_the_page_names_of_trl_and_of_harken_exist():
    page = (Path(__file__).parents[2] / "docs" / "mathematics.md").read_text(encoding="utf-8")
    section = page.partition("### The same keys in TRL and verl")[2].partition("### ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| `")]
    trl = {name for config in (GRPOConfig, RLOOConfig) for name in config.__dataclass_fields__}
    named = {name for row in rows for name in re.findall(r"`([a-z_]+)(?:=[^`]*)?`", row[1])}
    named |= {"delta", "entropy_coef", "top_entropy_quantile", "sync_ref_model"}
    assert named - {"clip_high", "get_soft_overlong_punishment"} <= trl
    own = {name for row in rows for name in re.findall(r"`grpo\.([a-z_]+)", row[0])}
    assert len(rows) == 12
    assert own <= GrpoConfig.model_fields.keys()
