"""vLLM itself as rollout engine: log-probabilities, old weights and caches, and whole runs with it.

They run in an environment that has vLLM: `pytest -m vllm`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scale_runs import completions_of_run, write_questions, write_recipe
from small_runs import metric_rows, quiet_console
from tiny_models import EVERYTHING, MODELS, make_prompt, perturbed, tiny_folder, tiny_model, two_prompts

from harken.config import Recipe
from harken.config.rollout import RolloutConfig
from harken.data.demo_set import write_demo_set
from harken.grpo.loop import train
from harken.inference.log_probabilities import score_packed
from harken.inference.sampling import Sampling
from harken.system.random import uniforms

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.filterwarnings("ignore:`torch.:DeprecationWarning", "ignore:`torch.:FutureWarning"),
]
"""vLLM and torch's compiler, which vLLM loads, still use names of torch that torch has deprecated."""
pytest.importorskip("vllm")

from harken.inference.vllm_engine import VllmEngine  # noqa: E402

G, LONGEST = 4, 12
SAMPLING = Sampling(1.2, LONGEST)
UPDATES = 5
BLOCK = 128
"""Tokens of a block of vLLM's cache on a CPU; only whole blocks of a prompt are found again."""


def engine_of(policy):
    settings = RolloutConfig(engine="vllm", kv_cache_gib=0.25)
    return VllmEngine(policy, settings, dtype=torch.float32, longest=1024, rows=32)


def prompts_of(policy):
    return [*two_prompts(policy), make_prompt(policy, "Which digit?", 5.9, seed=3)]


def embedded(policy, inputs):
    with torch.no_grad():
        return policy.embed(inputs, policy.encode_audio(inputs))


def numbers(names, seed=0):
    return torch.from_numpy(np.stack([uniforms(seed, 1, name, g, LONGEST) for name in names for g in range(G)]))


def gap(policy, prompts, completions):
    with torch.no_grad():
        scores = score_packed(policy, prompts, completions)
    return float(((scores.logp - completions.logp) * completions.mask).abs().max())


def updated(policy):
    """One step of gradient descent, large enough to be seen."""
    inputs = two_prompts(policy)
    hidden = policy.embed(inputs, policy.encode_audio(inputs))
    loss = sum(policy.logits(row).logsumexp(-1).mean() for row in hidden)
    trained = [parameter for parameter in policy.module.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(loss, trained, allow_unused=True)
    with torch.no_grad():
        for parameter, gradient in zip(trained, gradients, strict=True):
            if gradient is not None:
                parameter -= 0.05 * gradient / (gradient.norm() + 1e-9) * parameter.norm()


@pytest.mark.parametrize("arch", MODELS)
def test_log_probabilities_are_the_policys_before_and_after_five_updates(arch):
    policy = tiny_model(arch, torch.float32)
    if policy.adapters is None:
        policy.set_trainable(**EVERYTHING)
    engine, inputs = engine_of(policy), prompts_of(policy)
    gaps, stale = [], []
    for _ in range(UPDATES + 1):
        prompts = embedded(policy, inputs)
        if gaps:
            stale.append(gap(policy, prompts, completions))  # noqa: F821 (what the weights before would have said)
        with engine.holding(policy):
            completions = engine.sample(prompts, G, SAMPLING, numbers("abc"))
        gaps.append(gap(policy, prompts, completions))
        updated(policy)
    print(f"{arch}: gaps {max(gaps):.2g}, with the weights before {min(stale):.2g}")  # noqa: T201
    assert max(gaps) < 1e-5
    assert min(stale) > 1e-3


@pytest.mark.parametrize("skipped", ["weights", "prefix cache"])
def test_old_weights_and_an_old_cache_are_seen(skipped):
    policy = tiny_model("qwen2_5_omni", torch.float32)
    engine = engine_of(policy)
    prompts = embedded(policy, [make_prompt(policy, "Which digit?", 8.0, seed=3)])
    assert len(prompts[0]) > BLOCK
    with engine.holding(policy):
        engine.sample(prompts, G, SAMPLING, numbers("a"))
    moved = perturbed(policy, 0.02)
    right = engine._llm.collective_rpc, engine._forget_computed
    if skipped == "weights":
        engine._llm.collective_rpc = lambda *_, **__: None
    else:
        engine._forget_computed = lambda: None
    with engine.holding(moved):
        broken = gap(moved, prompts, engine.sample(prompts, G, SAMPLING, numbers("a")))
    engine._llm.collective_rpc, engine._forget_computed = right
    with engine.holding(moved):
        mended = gap(moved, prompts, engine.sample(prompts, G, SAMPLING, numbers("a")))
    print(f"without new {skipped}: {broken:.2g}, with them {mended:.2g}")  # noqa: T201
    assert broken > 1e-3
    assert mended < 1e-5


def test_samples_follow_from_the_random_numbers_whatever_is_decoded_beside_them():
    """This is not promised, because a product of another shape may round differently. It holds for these prompts."""
    policy = tiny_model("qwen2_audio", torch.float32)
    engine, inputs = engine_of(policy), prompts_of(policy)
    prompts = embedded(policy, inputs)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with engine.holding(policy):
        whole = engine.sample(prompts, G, SAMPLING, numbers("abc"))
        alone = engine.sample(prompts[2:], G, SAMPLING, numbers("c"))
        other = engine.sample(prompts[2:], G, SAMPLING, numbers("c", seed=1))
    assert torch.equal(torch.get_rng_state(), before)
    width = alone.tokens.shape[1]
    assert torch.equal(whole.tokens[2 * G :, :width], alone.tokens)
    assert not torch.equal(alone.tokens, other.tokens[:, :width])


def test_the_engine_samples_from_the_softmax_at_the_temperature():
    """The first tokens of 4,000 completions against the policy's probabilities: chi-squared over the likely tokens."""
    policy = tiny_model("qwen2_5_omni", torch.float32)
    engine = engine_of(policy)
    prompts = embedded(policy, two_prompts(policy)[:1])
    n, sampling = 4000, Sampling(0.7, 1)
    with engine.holding(policy):
        completions = engine.sample(prompts, n, sampling, torch.rand(n, 1, dtype=torch.float64))
    counts = torch.bincount(completions.tokens[:, 0], minlength=policy.module.lm_head.out_features).double()
    with torch.no_grad():
        hidden = policy.hidden(prompts[0][None], torch.arange(len(prompts[0]))[None], None)[:, -1]
        expected = n * torch.softmax(policy.logits(hidden)[0].double() / 0.7, -1)
    likely = expected > 5
    chi = float(((counts - expected)[likely] ** 2 / expected[likely]).sum())
    degrees = int(likely.sum())
    assert degrees > 20
    assert abs(chi - degrees) < 5 * (2 * degrees) ** 0.5


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_demo_set(folder, seed=0, n_train=24, n_test=4)
    return folder


@pytest.mark.parametrize("lora", [None, {"rank": 4}])
def test_a_run_trains_with_the_engine_and_corrects_for_it(lora, data, tmp_path):
    values = {
        **{"name": "engine", "seed": 1, "model": {"path": str(tiny_folder("qwen2_5_omni")), "lora": lora}},
        "data": {"train": [{"file": str(data / "train.json")}]},
        "grpo": {
            **{"steps": 3, "prompts_per_step": 4, "completions_per_prompt": 4, "max_completion_tokens": 6},
            **{"learning_rate": 1e-2, "rollout": {"engine": "vllm", "importance": "truncate", "kv_cache_gib": 0.25}},
        },
        "reward": {"parts": [{"name": "small_runs:reward_by_letters"}]},
    }
    train(Recipe.model_validate(values), tmp_path / "run", quiet_console())
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 3
    assert max(row["rollout/logp_gap_max"] for row in rows) < 1e-5
    assert all(abs(row["rollout/importance_mean"] - 1) < 1e-5 for row in rows)
    assert rows[-1]["loss/kl"] > 1e-3  # the policy has moved, and the engine with it


def test_two_ranks_with_an_engine_each_train_as_one_does(tmp_path):
    write_questions(tmp_path)
    rollout = {"engine": "vllm", "importance": "truncate", "kv_cache_gib": 0.25}
    recipe = write_recipe(tmp_path, grpo={"rollout": rollout, "steps": 3, "learning_rate": 0.01})
    path = os.pathsep.join([str(Path(__file__).parents[1] / "helpers"), *sys.path])
    for n in ("1", "2"):
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", n, "-m", "harken"]
        ended = subprocess.run(
            [*launch, "train", str(recipe), "--out", str(tmp_path / n)],
            **{"capture_output": True, "text": True, "timeout": 600, "env": {**os.environ, "PYTHONPATH": path}},
        )
        assert ended.returncode == 0, ended.stderr
        assert "Traceback" not in ended.stderr
    assert completions_of_run(tmp_path / "1") == completions_of_run(tmp_path / "2")
    for row in metric_rows(tmp_path / "2"):
        assert row["rollout/logp_gap_max"] < 1e-5
