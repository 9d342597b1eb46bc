"""The vLLM engine against a stand-in that is a plain Qwen2: config, weights, order of calls, and what comes back."""

import sys
from types import SimpleNamespace

import fake_vllm
import numpy as np
import pytest
import torch
from tiny_models import MODELS, perturbed, speaking, tiny_model, two_prompts

from harken.config.rollout import RolloutConfig
from harken.errors import CheckpointError, ConfigError, HarkenError
from harken.inference.log_probabilities import score_packed
from harken.inference.sampling import Sampling
from harken.inference.vllm_engine import VllmEngine, read_completions
from harken.inference.vllm_weights import vllm_config, vllm_weights
from harken.system.random import uniforms

G, LONGEST = 3, 4


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", fake_vllm)


def engine_of(policy, **changes):
    settings = RolloutConfig(engine="vllm", **changes)
    return VllmEngine(policy, settings, dtype=torch.float32, longest=256, rows=8)


def numbers(seed=0):
    rows = [uniforms(seed, 1, name, g, LONGEST) for name in "ab" for g in range(G)]
    return torch.from_numpy(np.stack(rows))


def embedded(policy):
    inputs = two_prompts(policy)
    with torch.no_grad():
        return policy.embed(inputs, policy.encode_audio(inputs))


def sample(engine, policy, seed=0):
    with engine.holding(policy):
        return engine.sample(embedded(policy), G, Sampling(1.2, LONGEST), numbers(seed))


def gap(policy, completions):
    """The largest difference between the engine's log-probabilities and the policy's."""
    with torch.no_grad():
        scores = score_packed(policy, embedded(policy), completions)
    return float(((scores.logp - completions.logp) * completions.mask).abs().max())


@pytest.mark.parametrize("arch", [arch for arch in MODELS if arch != "qwen3_omni_moe"])
def test_the_engine_has_the_policys_log_probabilities_before_and_after_an_update(arch, installed):
    policy = tiny_model(arch, torch.float32)
    engine = engine_of(policy)
    assert gap(policy, sample(engine, policy)) < 1e-5
    moved = perturbed(policy, 0.02)
    assert gap(moved, sample(engine, policy)) > 1e-3  # this shows that old weights would be seen
    assert gap(moved, sample(engine, moved)) < 1e-5


def test_keys_and_values_of_older_weights_are_forgotten(installed):
    """A frozen embedding and a frozen tower give the same prompt in every step, which a prefix cache would find."""
    policy = tiny_model("qwen2_audio", torch.float32)
    moved = perturbed(policy, 0.02)
    moved.module.get_input_embeddings().weight.data.copy_(policy.module.get_input_embeddings().weight)
    prompts = embedded(policy)
    engine = engine_of(policy)
    engine._forget_computed = lambda: None
    for model in (policy, moved):
        with engine.holding(model):
            stale = engine.sample(prompts, G, Sampling(1.2, LONGEST), numbers())
    del engine._forget_computed
    with engine.holding(moved):
        fresh = engine.sample(prompts, G, Sampling(1.2, LONGEST), numbers())

    def gap_of(completions):
        with torch.no_grad():
            scores = score_packed(moved, prompts, completions)
        return float(((scores.logp - completions.logp) * completions.mask).abs().max())

    assert gap_of(stale) > 1e-3
    assert gap_of(fresh) < 1e-5


def test_an_engine_wakes_loads_forgets_samples_and_sleeps(installed):
    policy = tiny_model("qwen2_audio", torch.float32)
    engine = engine_of(policy)
    engine._sleeps = True  # as on a GPU
    sample(engine, policy)
    assert engine._llm.calls == ["wake weights", "reload", "wake kv_cache", "reset", "generate", "sleep 2"]
    engine._llm.calls.clear()

    def sample_and_fail():
        with engine.holding(policy):
            raise OSError("while it is awake")

    with pytest.raises(OSError, match="awake"):
        sample_and_fail()
    assert engine._llm.calls[-1] == "sleep 2"


def test_samples_follow_from_the_random_numbers_and_leave_torchs_generator_alone(installed):
    policy = speaking(tiny_model("qwen2_audio", torch.float32), "one", "two", "three")
    policy.module.lm_head.bias = None
    torch.manual_seed(3)
    before = torch.get_rng_state()
    engine = engine_of(policy)
    first, again, other = (sample(engine, policy, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.tokens, again.tokens)
    assert not torch.equal(first.tokens, other.tokens)
    assert len({tuple(row) for row in first.tokens.tolist()}) > 2  # completions of one prompt differ


def test_the_engine_computes_outside_of_autocast(installed):
    """Training computes under autocast in bf16_mixed; the engine has a type of its own (the stand-in asserts it)."""
    policy = tiny_model("qwen2_5_omni", torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        sample(engine_of(policy), policy)
    assert torch.is_grad_enabled()


def test_adapters_are_merged_without_touching_the_policy():
    policy = tiny_model("qwen2_5_omni adapters", torch.float32)
    before = {name: weight.clone() for name, weight in policy.module.state_dict().items()}
    sent = {name: weight.clone() for name, weight in vllm_weights(policy)}
    assert all(torch.equal(weight, before[name]) for name, weight in policy.module.state_dict().items())
    assert not any("lora" in name or "base_layer" in name for name in sent)
    merged = tiny_model("qwen2_5_omni merged", torch.float32)
    expected = dict(vllm_weights(merged))
    assert sent.keys() == expected.keys()
    for name, weight in sent.items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=1e-6)


def test_a_language_model_that_the_engine_does_not_know_is_refused():
    policy = tiny_model("qwen2_audio", torch.float32)
    policy.parts["language_model"].config.model_type = "mistral"
    with pytest.raises(CheckpointError, match="is a 'mistral', and the engine knows qwen2"):
        vllm_config(policy, torch.float32)
    with pytest.raises(CheckpointError, match="the head has a bias"):
        vllm_config(speaking(tiny_model("qwen2_audio", torch.float32), "one"), torch.float32)


def test_a_shared_head_is_sent_once():
    policy = tiny_model("qwen2_audio", torch.float32)
    assert "lm_head.weight" in dict(vllm_weights(policy))
    policy.module.lm_head.weight = policy.module.get_input_embeddings().weight
    assert vllm_config(policy, torch.float32)["tie_word_embeddings"]
    assert "lm_head.weight" not in dict(vllm_weights(policy))


def test_a_missing_vllm_is_an_error_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ConfigError, match=r"pip install 'harken\[vllm\]'"):
        engine_of(tiny_model("qwen2_audio", torch.float32))


def test_an_engine_that_does_not_start_is_an_error_of_the_recipe(installed, monkeypatch):
    def refuse(**options):
        raise ValueError("No available memory\nfor the cache blocks")

    monkeypatch.setattr(fake_vllm, "LLM", refuse)
    with pytest.raises(ConfigError, match="does not start \\(No available memory for the cache blocks\\)"):
        engine_of(tiny_model("qwen2_audio", torch.float32))


def row(tokens, logp, reason="length"):
    entries = [{token: SimpleNamespace(logprob=value)} for token, value in zip(tokens, logp, strict=True)]
    return SimpleNamespace(token_ids=tokens, logprobs=entries, finish_reason=reason)


def test_outputs_become_completions():
    read = read_completions([row([5, 6, 7], [-1.0, -2.0, -3.0]), row([9], [-0.5], "stop")], torch.device("cpu"))
    assert read.tokens.tolist() == [[5, 6, 7], [9, 0, 0]]
    assert read.mask.tolist() == [[True] * 3, [True, False, False]]
    assert read.logp.tolist() == [[-1.0, -2.0, -3.0], [-0.5, 0.0, 0.0]]
    assert read.ended.tolist() == [False, True]


def test_outputs_that_are_not_finite_or_aborted_are_errors():
    with pytest.raises(HarkenError, match="not finite"):
        read_completions([row([5], [float("nan")])], torch.device("cpu"))
    with pytest.raises(HarkenError, match="ended completions with abort"):
        read_completions([row([5], [-1.0], "abort")], torch.device("cpu"))
