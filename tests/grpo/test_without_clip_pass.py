"""The pass without the clip equals plain forward passes over plain prompts, and costs nothing where it is off."""

import numpy as np
import pytest
import soundfile
import torch
from scale_runs import write_questions, write_recipe
from small_runs import differences, quiet_console, read_run
from small_steps import PROMPT, policy_of, settings
from tiny_models import ARCHITECTURES, MODELS, plain_logp

from harken.config import ListeningOptions, RewardConfig, load_recipe
from harken.grpo.loop import train
from harken.grpo.micro_batch import SampledBatch, ScoredBatch
from harken.grpo.reward_figures import listening_figures
from harken.grpo.rewarding import Rewarder
from harken.grpo.sample_completions import sample_completions
from harken.grpo.without_clip_pass import WithoutClip, heard_groups
from harken.inference.prompt_inputs import PromptInputs

GROUP = 4
LISTENING = {"parts": [{"name": "accuracy"}, {"name": "listening", "weight": 0.5}]}


def scored_batches(policy, questions, config, options, seed=0):
    inputs = PromptInputs(policy, PROMPT, cache_gib=1)(questions)
    sampled = sample_completions(policy, questions, inputs, PROMPT, config, seed=seed, step=1)
    without = WithoutClip(policy, PROMPT, questions, options, config, seed=3, cache_gib=1)
    return without.score(list(sampled))


def other_prompt(policy, question, questions, against):
    """What the model reads in place of the clip, made by hand."""
    if question.audio is None or against == "none":
        heard = None
    else:
        clips = {name: soundfile.read(each.audio, dtype="float32")[0] for name, each in questions.items() if each.audio}
        own = clips[question.id]
        other = clips["b" if question.id == "a" else "a"]  # two clips in a cycle
        heard = np.zeros_like(own) if against == "silence" else other
    text = {"type": "text", "text": PROMPT.text(question)}
    content = [text] if heard is None else [{"type": "audio"}, text]
    return policy.render([{"role": "user", "content": content}], heard)


@pytest.mark.parametrize(
    ("arch", "against"),
    [
        (ARCHITECTURES[0], "none"),
        (ARCHITECTURES[0], "shuffled"),
        *(pytest.param(arch, "none", marks=pytest.mark.slow) for arch in MODELS[1:]),
        pytest.param(ARCHITECTURES[0], "silence", marks=pytest.mark.slow),
    ],
)
def test_log_probabilities_without_the_clip_equal_plain_passes(arch, against, questions):
    policy = policy_of(arch)
    batches = scored_batches(policy, questions, settings(), ListeningOptions(against=against))
    by_id = {question.id: question for question in questions}
    seen = 0
    for batch in batches:
        completions = batch.completions
        for r, response in enumerate(batch.responses):
            length = int(completions.lengths[r])
            prompt = other_prompt(policy, response.question, by_id, against)
            expected = plain_logp(policy.module, prompt, completions.tokens[r, :length])
            assert torch.allclose(batch.without_clip_logp[r, :length], expected, atol=1e-9)
            seen += 1
    assert seen == len(questions) * GROUP


def test_the_reward_is_that_of_the_sums_by_hand_and_0_for_a_question_without_a_clip(questions):
    policy, config = policy_of(ARCHITECTURES[0]), settings()
    batches = scored_batches(policy, questions, config, ListeningOptions())
    reward = RewardConfig.model_validate({**LISTENING, "listening": {"bound": 0.5, "only_correct": False}})
    rewards = Rewarder(reward, config, PROMPT).reward([ScoredBatch(batch, None) for batch in batches], progress=0.0)
    gains = []
    for batch, rewarded in zip(batches, rewards.batches, strict=True):
        completions = batch.completions
        for r, response in enumerate(batch.responses):
            n = int(completions.lengths[r])
            gain = float(completions.logp[r, :n].sum() - batch.without_clip_logp[r, :n].sum())
            expected = 0.0 if response.question.audio is None else min(1.0, max(-1.0, gain / 0.5))
            assert rewarded.reward_parts["listening"][r] == pytest.approx(expected, abs=1e-9)
            accuracy = float(response.grade.correct)
            assert float(rewarded.rewards.flatten()[r]) == pytest.approx(accuracy + 0.5 * expected, abs=1e-9)
            gains += [gain] if response.question.audio is not None else []
    assert len(gains) == 2 * GROUP
    assert rewards.figures["listening/gain_nats"] == pytest.approx(sum(gains) / len(gains))
    assert len({round(gain, 6) for gain in gains}) > 2


def test_micro_batches_and_the_order_of_questions_change_no_gain(questions):
    policy = policy_of(ARCHITECTURES[0])

    def gains(chosen, **changes):
        batches = scored_batches(policy, chosen, settings(**changes), ListeningOptions(against="shuffled"))
        groups = {
            question.id: group
            for batch in batches
            for question, group in zip(batch.questions, heard_groups(batch), strict=True)
        }
        return {name: group and [each.gain_nats for each in group] for name, group in groups.items()}

    whole = gains(questions)
    assert whole["t"] is None
    for other in (gains(questions, tokens_per_micro_batch=1), gains(questions[::-1])):
        assert other["a"] == pytest.approx(whole["a"], abs=1e-9)
        assert other["b"] == pytest.approx(whole["b"], abs=1e-9)


def test_a_run_without_the_part_makes_no_such_pass(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the pass was made")

    monkeypatch.setattr("harken.grpo.step.WithoutClip", refuse)
    write_questions(tmp_path)
    recipe = load_recipe(write_recipe(tmp_path, grpo={"steps": 1}))
    train(recipe, tmp_path / "run", quiet_console())
    with pytest.raises(AssertionError, match="the pass was made"):
        train(load_recipe(write_recipe(tmp_path, reward=LISTENING)), tmp_path / "on", quiet_console())


def test_a_step_without_right_answers_has_no_mean_gain_of_right_ones():
    assert listening_figures([(1.0, False), (3.0, False)]) == {"listening/gain_nats": 2.0}
    both = {"listening/gain_nats": 2.0, "listening/gain_nats_right": 3.0}
    assert listening_figures([(1.0, False), (3.0, True)]) == both
    assert listening_figures([]) == {}


@pytest.mark.parametrize("ends_with_longer", [False, True])
def test_groups_keep_their_log_probabilities_where_they_are_cut_out_and_joined(questions, ends_with_longer):
    policy = policy_of(ARCHITECTURES[0])
    whole = SampledBatch.join(scored_batches(policy, questions, settings(), ListeningOptions()))
    groups = [whole.groups(p, p + 1) for p in range(len(questions))][:: 1 if ends_with_longer else -1]
    shorter = [part for group in groups for part in group.cut([slice(0, 1)])]  # each as wide as its own completions
    joined = SampledBatch.join(shorter)
    heard = {question.id: group for question, group in zip(whole.questions, heard_groups(whole), strict=True)}
    assert {q.id: group for q, group in zip(joined.questions, heard_groups(joined), strict=True)} == heard
    assert joined.without_clip_logp.shape == joined.completions.tokens.shape


@pytest.mark.slow
@pytest.mark.parametrize("lora", [False, True])
def test_a_run_that_is_stopped_and_resumed_ends_bit_for_bit_as_one_that_was_not(lora, tmp_path):
    write_questions(tmp_path)
    reward = {**LISTENING, "listening": {"against": "shuffled", "only_correct": False}}
    recipe = load_recipe(write_recipe(tmp_path, lora=lora, reward=reward, logging={"checkpoint_every": 1}))
    train(recipe, tmp_path / "whole", quiet_console())
    train(recipe, tmp_path / "parts", quiet_console(), on_step=lambda step: step.number == 2)
    train(recipe, tmp_path / "parts", quiet_console(), resume=True)
    whole, parts = read_run(tmp_path / "whole"), read_run(tmp_path / "parts")
    assert differences(whole["rows"], parts["rows"]) == []
    assert differences(whole["step_000005"], parts["step_000005"]) == []
    assert all("reward/listening" in row for row in whole["rows"])
    assert any("listening/gain_nats" in row for row in whole["rows"])  # not in a step whose questions have no clip
