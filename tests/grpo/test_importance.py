"""Truncated importance weights equal a slow loop and TRL's formula, and their mean is the policy's."""

import inspect
import math
import textwrap
import warnings
from types import SimpleNamespace

import pytest
import torch
from pydantic import ValidationError

from harken.config import GrpoConfig
from harken.grpo.importance import importance_weights

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # TRL and what it imports warn while loading
    from trl.trainer.grpo_trainer import GRPOTrainer

R, L, CAP = 6, 5, 2.0


@pytest.fixture
def step():
    torch.manual_seed(0)
    policy = -3 * torch.rand(R, L, dtype=torch.float64)
    mask = torch.arange(L) < torch.tensor([5, 1, 3, 0, 4, 2])[:, None]
    return SimpleNamespace(policy=policy, engine=policy + torch.randn(R, L, dtype=torch.float64), mask=mask)


def trl_weights(step, cap):
    """The lines of TRL that compute the ratio, run on these tensors."""
    lines = inspect.getsource(GRPOTrainer._generate_and_score_completions).splitlines()
    first = next(i for i, line in enumerate(lines) if "Compute the importance sampling ratio" in line) + 2
    last = next(i for i, line in enumerate(lines) if "for the reference model" in line and i > first)
    code = textwrap.dedent("\n".join(lines[first:last]))
    settings = {"mode": "token_truncate", "clip_max": cap, "clip_min": None}
    names = {
        "self": SimpleNamespace(**{f"vllm_importance_sampling_{name}": value for name, value in settings.items()}),
        **{"completion_mask": step.mask, "tool_mask": None, "torch": torch, "math": math},
        **{"old_per_token_logps": step.policy, "sampling_per_token_logps": step.engine},
    }
    exec(code, names)
    return names["vllm_importance_sampling_ratio"]


def test_weights_equal_a_slow_loop(step):
    weights = importance_weights(step.policy, step.engine, step.mask, CAP)
    for i in range(R):
        for t in range(L):
            ratio = math.exp(step.policy[i, t].item()) / math.exp(step.engine[i, t].item()) if step.mask[i, t] else 1.0
            assert weights[i, t].item() == pytest.approx(min(ratio, CAP), rel=1e-12)
    assert (weights == CAP).any()
    assert (weights < 0.5).any()


@pytest.mark.parametrize("cap", [1.0, 2.0, 3.0])
def test_weights_equal_those_of_trl(step, cap):
    torch.testing.assert_close(
        importance_weights(step.policy, step.engine, step.mask, cap), trl_weights(step, cap), rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("padding", [math.nan, math.inf, -math.inf])
def test_padding_may_hold_anything_and_weights_have_no_graph(step, padding):
    clean = importance_weights(step.policy, step.engine, step.mask, CAP)
    step.engine[~step.mask] = padding
    assert torch.equal(importance_weights(step.policy.requires_grad_(), step.engine, step.mask, CAP), clean)
    assert not clean.requires_grad


def test_a_token_that_the_engine_thought_impossible_gets_the_cap(step):
    step.engine[0, 0] = -1e4
    assert importance_weights(step.policy, step.engine, step.mask, CAP)[0, 0] == CAP


def test_without_a_cap_in_reach_the_weighted_mean_is_the_policys(step):
    """E_mu[pi / mu f] = E_pi[f], counted over a vocabulary of 7 tokens."""
    torch.manual_seed(2)
    policy, engine, values = torch.randn(7).double(), torch.randn(7).double(), torch.randn(7).double()
    policy, engine = policy.log_softmax(0), engine.log_softmax(0)
    weights = importance_weights(policy[None], engine[None], torch.ones(1, 7, dtype=torch.bool), math.inf)[0]
    assert (engine.exp() * weights * values).sum().item() == pytest.approx((policy.exp() * values).sum().item())
    assert abs((engine.exp() * values).sum() - (policy.exp() * values).sum()) > 0.05


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rollout": {"engine": "vllm"}, "policy_pass": "continued"}, "with rollout.engine: vllm set packed"),
        ({"rollout": {"engine": "vllm"}, "cuda_graph": True}, "with rollout.engine: vllm remove it"),
        ({"rollout": {"importance": "truncate"}, "temperature_in_loss": True}, "set temperature_in_loss: false"),
        ({"rollout": {"importance": "truncate", "importance_cap": 0.5}}, "greater than or equal to 1"),
        ({"rollout": {"engine": "sglang"}}, "'harken' or 'vllm'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        GrpoConfig.model_validate(settings)
