"""What a step samples, and how rewards, rollout rows and metrics describe it."""

import numpy as np
import pytest
import torch
from small_steps import CHOICES, PROMPT, collected, policy_of, rewarded, settings, sgd, update
from tiny_models import ARCHITECTURES, MODELS

from harken.config import RewardConfig, RewardPart
from harken.grpo.metrics import step_metrics
from harken.grpo.rollout_rows import rollout_rows
from harken.grpo.sample_completions import sample_completions
from harken.inference.prompt_inputs import PromptInputs


@pytest.mark.parametrize("arch", MODELS)
def test_samples_depend_on_seed_and_step_and_not_on_the_other_questions_or_their_order(arch, questions):
    policy = policy_of(arch)
    inputs = PromptInputs(policy, PROMPT, cache_gib=1)

    def texts(chosen, **where):
        where = {"seed": 0, "step": 1, **where}
        batches = list(sample_completions(policy, chosen, inputs(chosen), PROMPT, settings(), **where))
        owners = [question.id for batch in batches for question in batch.questions for _ in range(4)]
        return list(zip(owners, [response.text for batch in batches for response in batch.responses], strict=True))

    whole = texts(questions)
    assert sorted(texts(questions[::-1])) == sorted(whole)
    assert texts(questions[2:]) == [pair for pair in whole if pair[0] == "b"]
    assert texts(questions, step=2) != whole
    assert texts(questions, seed=1) != whole


@pytest.mark.parametrize("arch", MODELS)
def test_rollout_rows_and_metrics_describe_the_step(arch, questions):
    policy = policy_of(arch)
    config = settings()
    inputs = PromptInputs(policy, PROMPT, 1)(questions)
    rewards = rewarded(sample_completions(policy, questions, inputs, PROMPT, config, seed=0, step=1), config)
    rows = rollout_rows(rewards.batches)
    by_length = sorted(
        questions, key=lambda q: next(i.length for i, x in zip(inputs, questions, strict=True) if x is q)
    )
    assert [(row["id"], row["g"]) for row in rows] == [(q.id, g) for q in by_length for g in range(4)]
    assert [row["question"] for row in rows] == [q.text for q in by_length for _ in range(4)]
    for row in rows:
        question = next(q for q in questions if q.id == row["id"])
        copied = {"clip": question.clip, "task": question.task, "difficulty": question.difficulty}
        assert {**row, **copied, "choices": list(question.choices)} == row
        text = row["completion"].strip()
        assert row["choice"] == (text if text in CHOICES else None)
        assert row["reward"] == row["rewards"]["accuracy"] == float(row["choice"] == row["answer"])
        assert row["ended"] or row["tokens"] == 4
        assert row["form"] is None  # the prompt asks for no tags
    figures = update(policy, None, rewards.batches, settings(beta=0.0), sgd(policy.module, 0.0), 0.0)
    metrics = step_metrics(rows, 4, rewards, figures, 1e-3, rollout_s=1.0, step_s=2.0)
    assert metrics["reward/mean"] == metrics["reward/accuracy"] == np.mean([row["reward"] for row in rows])
    groups = [[row["reward"] for row in rows[start : start + 4]] for start in (0, 4, 8)]
    assert metrics["reward/equal_groups"] == sum(len(set(group)) == 1 for group in groups) / 3
    assert metrics["reward/std_in_group"] == pytest.approx(np.mean([np.std(group, ddof=1) for group in groups]))
    assert metrics["answer/unreadable"] == np.mean([row["choice"] is None for row in rows])
    assert metrics["completion/length_mean"] == np.mean([row["tokens"] for row in rows])
    assert metrics["completion/truncated"] == pytest.approx(np.mean([not row["ended"] for row in rows]))
    assert metrics["rollout/logp_gap_max"] < 1e-9
    assert metrics["policy/entropy"] > 0


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_rewards_are_weighted_and_compared_within_the_group_only(arch, questions):
    policy = policy_of(arch)
    batches = collected(policy, questions, settings(), RewardConfig(parts=(RewardPart(name="accuracy", weight=3.0),)))
    for batch in batches:
        right = torch.tensor(
            [response.grade.correct for response in batch.sampled.responses], dtype=torch.float64
        ).view(-1, 4)
        assert torch.equal(batch.rewards, 3.0 * right)
        centred = batch.rewards - batch.rewards.mean(1, keepdim=True)
        expected = centred / (batch.rewards.std(1, keepdim=True) + 1e-4)
        assert torch.allclose(batch.advantages, expected.flatten(), atol=1e-12)
