"""A whole GRPO step compared with loops over single rows, without packing, cache or micro-batches."""

import copy
import math
from itertools import product

import pytest
import torch
from small_steps import (
    PROMPT,
    assert_same_move,
    collected,
    moved,
    policy_of,
    settings,
    sgd,
    spread_advantages,
    trained_of,
    update,
    weights_of,
)
from tiny_models import ARCHITECTURES, MODELS, perturbed, plain_logp

from harken.inference.prompt_inputs import PromptInputs
from harken.models.policy import enable_gradient_checkpointing, frozen_copy


def informative_batches(policy, questions, config):
    """Rewarded batches with right and wrong answers, with rows of one token and rows cut at the maximum."""
    inputs = PromptInputs(policy, PROMPT, cache_gib=1)
    for seed in range(40):
        batches = collected(policy, questions, config, seed=seed, inputs=inputs)
        right = [response.grade.correct for batch in batches for response in batch.sampled.responses]
        lengths = {int(n) for batch in batches for n in batch.sampled.completions.lengths}
        cut = any(not ended for batch in batches for ended in batch.sampled.completions.ended)
        if sum(right) >= 2 and not all(right) and cut and {1, config.max_completion_tokens} <= lengths:
            return batches
    raise AssertionError("no seed gives a step with all of these")


def step(policy, reference, questions, config, rate=1.0):
    """Sample and update with plain gradient descent. Returns (batches, figures)."""
    batches = informative_batches(policy, questions, config)
    figures = update(policy, reference, batches, config, sgd(policy.module, rate), rate)
    return batches, figures


def slow_step(policy, reference, batches, config, rate) -> list[float]:
    """The equations as loops over rows and tokens, with one plain forward pass a row. Returns each iteration's loss."""
    rows = [(batch.sampled, r) for batch in batches for r in range(len(batch.sampled.responses))]
    group = config.completions_per_prompt
    temperature = config.temperature if config.temperature_in_loss else 1.0

    def logp_of(model, batch, r):
        length = int(batch.completions.lengths[r])
        tokens = batch.completions.tokens[r, :length]
        return plain_logp(model.module, batch.inputs[r // group], tokens, temperature)

    counted = [(b, r) for b, r in rows if b.completions.ended[r] or not config.mask_truncated]
    total_tokens = sum(int(b.completions.lengths[r]) for b, r in counted)
    old, losses = {}, []
    for _ in range(config.num_iterations):
        loss = torch.zeros((), dtype=torch.float64)
        for b, r in counted:
            rewards = [float(b.responses[g].grade.correct) for g in range(r // group * group, (r // group + 1) * group)]
            mean = sum(rewards) / group
            advantage = rewards[r % group] - mean
            if config.scale_rewards:
                std = math.sqrt(sum((reward - mean) ** 2 for reward in rewards) / (group - 1))
                advantage = advantage / (std + 1e-4)
            logp = logp_of(policy, b, r)
            before = old.setdefault((id(b), r), logp.detach())
            terms = []
            for t in range(len(logp)):
                gap = (logp - before).mean() if config.objective == "gspo" else logp[t] - before[t]
                ratio = torch.exp(gap)
                clipped = torch.clamp(ratio, 1 - config.clip_low, 1 + config.clip_high)
                term = -torch.minimum(ratio * advantage, clipped * advantage)
                if config.objective == "cispo":
                    term = -min(float(ratio.detach()), 1 + config.clip_high) * advantage * logp[t]
                if config.rollout.importance != "none":
                    sampled = math.exp(float(b.completions.logp[r, t]))
                    term = term * min(math.exp(float(before[t])) / sampled, config.rollout.importance_cap)
                if config.beta:
                    with torch.no_grad():
                        ref = logp_of(reference, b, r)[t]
                    term = term + config.beta * (torch.exp(ref - logp[t]) - (ref - logp[t]) - 1)
                terms.append(term)
            if config.normalization == "grpo":
                loss = loss + sum(terms) / len(terms) / len(rows)
            elif config.normalization == "dr_grpo":
                loss = loss + sum(terms) / config.max_completion_tokens / len(rows)
            else:
                loss = loss + sum(terms) / total_tokens
        losses.append(float(loss.detach()))
        parameters = list(trained_of(policy.module).values())
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    parameter -= rate * gradient
    return losses


STEPS = {
    "grpo": {},
    "grpo without a reference": {"beta": 0.0},
    "dr_grpo": {"normalization": "dr_grpo"},
    "dr_grpo without a reference": {"normalization": "dr_grpo", "beta": 0.0},
    "dapo": {"normalization": "dapo", "clip_high": 0.28},
    "dapo without a reference": {"normalization": "dapo", "beta": 0.0},
    "rewards not scaled": {"scale_rewards": False},
    "truncated rows left out": {"mask_truncated": True},
    "truncated rows left out of dapo": {"mask_truncated": True, "normalization": "dapo"},
    "temperature in the loss": {"temperature_in_loss": True},
    "sampled from the likeliest tokens alone": {"top_k": 12, "top_p": 0.9},
    "three iterations": {"num_iterations": 3},
    "gspo, two iterations": {"objective": "gspo", "num_iterations": 2, "clip_low": 0.01, "clip_high": 0.01},
    "cispo in dapo, two iterations": {
        **{"objective": "cispo", "num_iterations": 2, "clip_high": 0.01, "normalization": "dapo"},
        **{"tokens_per_micro_batch": 1},
    },
    "importance weights": {"rollout": {"importance": "truncate", "importance_cap": 1.1}},
    "importance weights in dapo, two iterations": {
        **{"rollout": {"importance": "truncate", "importance_cap": 1.1}, "normalization": "dapo", "num_iterations": 2},
        **{"tokens_per_micro_batch": 1},
    },
}


@pytest.mark.parametrize(
    ("arch", "name"),
    [
        pytest.param(arch, name, marks=[pytest.mark.slow] if "gspo" in name or "cispo" in name else [])
        for arch in MODELS
        for name in (STEPS if arch == ARCHITECTURES[0] else ["grpo"])
    ],
)
def test_loss_and_gradient_of_a_whole_step_equal_loops_over_rows(arch, questions, name):
    config, rate = settings(**STEPS[name]), 0.3
    start = policy_of(arch)
    policy, slow = copy.deepcopy(start), copy.deepcopy(start)
    reference = perturbed(frozen_copy(start), 0.01) if config.beta else None
    batches, figures = step(policy, reference, questions, config, rate)
    losses = slow_step(slow, reference, batches, config, rate)
    assert figures.loss == pytest.approx(losses[-1], abs=1e-10)
    before = weights_of(start)
    assert_same_move(moved(policy, before), moved(slow, before), 1e-8)

    if config.rollout.importance == "none":
        assert figures.importance is None
        assert figures.logp_gap_max < 1e-9
    else:
        assert 0.5 < figures.importance < 1.1
        assert 0 < figures.importance_cut < 1
        assert figures.logp_gap_max > 1e-2
    if config.num_iterations > 1:
        assert figures.clip_low + figures.clip_high > 0
    else:
        assert figures.ratio_max == 1.0
        assert figures.clip_low == figures.clip_high == 0.0
    assert (figures.kl > 1e-4) == (config.beta > 0)


@pytest.mark.parametrize("arch", ARCHITECTURES[:1])
@pytest.mark.parametrize("normalization", ["grpo", "dr_grpo", "dapo"])
def test_the_size_of_micro_batches_changes_nothing(arch, questions, normalization):
    start = policy_of(arch)
    reference, before = perturbed(frozen_copy(start), 0.01), weights_of(start)
    moves = []
    second = sorted(prompt.length for prompt in PromptInputs(start, PROMPT, 0)(questions))[1]
    for n_micro_batches, tokens in ((3, 1), (2, 2 * (second + 12)), (1, None)):  # 12: 4 completions, 3 places at most
        policy = copy.deepcopy(start)
        config = settings(tokens_per_micro_batch=tokens, normalization=normalization, num_iterations=2)
        batches = collected(policy, questions, config)
        for batch in batches:  # rewards as if the first of each group were right
            batch.advantages = torch.tensor([1.5, -0.5, -0.5, -0.5], dtype=torch.float64).repeat(len(batch.questions))
        figures = update(policy, reference, batches, config, sgd(policy.module, 0.1), 0.1)
        assert len(batches) == n_micro_batches
        moves.append(
            (moved(policy, before), figures, [said.text for batch in batches for said in batch.sampled.responses])
        )
    for move, figures, texts in moves[1:]:
        assert texts == moves[0][2]
        assert figures.loss == pytest.approx(moves[0][1].loss, abs=1e-10)
        assert figures.kl == pytest.approx(moves[0][1].kl, abs=1e-10)
        assert figures.entropy == pytest.approx(moves[0][1].entropy, abs=1e-10)
        assert_same_move(move, moves[0][0], 1e-10)


@pytest.mark.parametrize(
    ("arch", "tower", "checkpointing"),
    [
        *((ARCHITECTURES[0], *case) for case in product([True, False], [True, False])),
        *((a, True, True) for a in MODELS[1:]),
    ],
)
def test_an_update_through_the_packed_row_equals_one_through_repeated_rows(arch, questions, tower, checkpointing):
    start = policy_of(arch, {"audio_tower": tower, "projector": tower, "language_model": True})
    if checkpointing:
        enable_gradient_checkpointing(start.module)
    reference, before = perturbed(frozen_copy(start), 0.01), weights_of(start)
    frozen = {name: weight for name, weight in before.items() if name not in trained_of(start.module)}
    reference.module.load_state_dict(frozen, strict=False)  # a reference differs only in what trains
    moves = {}
    for form in ("packed", "repeated") if checkpointing else ("packed", "continued", "repeated"):
        policy, config = copy.deepcopy(start), settings(policy_pass=form, num_iterations=2)
        batches = spread_advantages(collected(policy, questions, config))
        figures = update(policy, reference, batches, config, sgd(policy.module, 0.1), 0.1)
        moves[form] = moved(policy, before)
        assert figures.logp_gap_max < 1e-9  # of the first iteration, on the weights that sampled
    for form in moves:
        assert_same_move(moves[form], moves["repeated"], 1e-8)
