"""A whole GRPO step compared with loops over single rows, without packing, cache or micro-batches."""

import copy
import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny_models import ARCHITECTURES, EVERYTHING, MODELS, noise, perturbed, plain_logp, speaking, tiny_model

from harken.config import GrpoConfig, PromptConfig, RewardConfig, RewardPart
from harken.grpo.metrics import step_metrics
from harken.grpo.micro_batch import ScoredBatch
from harken.grpo.reference_pass import score_with_reference
from harken.grpo.rewarding import Rewarder
from harken.grpo.rollout_rows import rollout_rows
from harken.grpo.sample_completions import sample_completions
from harken.grpo.update import update as update_from
from harken.inference.engine import OwnEngine
from harken.inference.prompt_inputs import PromptInputs
from harken.models.policy import enable_gradient_checkpointing, frozen_copy
from harken.questions.prompt import Prompt
from harken.training.optimizer import build_optimizer
from harken.types import Question

PROMPT = Prompt.from_config(PromptConfig())
CHOICES = ("one", "two", "three")
PARTS = {
    "audio tower": {**dict.fromkeys(EVERYTHING, False), "audio_tower": True},
    "projector": {**dict.fromkeys(EVERYTHING, False), "projector": True},
    "language model": {**dict.fromkeys(EVERYTHING, False), "language_model": True},
}


@pytest.fixture(scope="module")
def questions(tmp_path_factory) -> list[Question]:
    """Two questions about clips of different lengths, and a text-only question between them."""
    folder: Path = tmp_path_factory.mktemp("clips")
    for name, seconds, seed in (("a", 0.5, 1), ("b", 1.1, 2)):
        soundfile.write(folder / f"{name}.wav", noise(seconds, seed), 16_000, subtype="FLOAT")
    return [
        Question("a", "Which digit is spoken in the audio?", CHOICES, 0, folder / "a.wav"),
        Question("t", "What is 2 + 2?", CHOICES, 1, None),
        Question("b", "Which digit?", CHOICES, 2, folder / "b.wav"),
    ]


def settings(**changes) -> GrpoConfig:
    values = {
        **{"completions_per_prompt": 4, "max_completion_tokens": 4, "temperature": 1.2},
        **{"max_grad_norm": 1e9, "beta": 0.04, "learning_rate": 1e-3},
        **changes,
    }
    if values.get("normalization") == "dr_grpo":
        values["scale_rewards"] = False
    return GrpoConfig.model_validate(values)


def policy_of(arch, trained=EVERYTHING):
    policy = speaking(tiny_model(arch), "one", "two", "three", sharpness=0.4)
    with torch.no_grad():
        policy.module.lm_head.bias[list(policy.eos_token_ids)] += 0.7
    if policy.adapters is None:
        policy.set_trainable(**trained)
    return policy


class AnotherPolicy(OwnEngine):
    """An engine whose weights are not quite those of the policy."""

    def holding(self, policy):
        return super().holding(perturbed(policy, 0.03, seed=5))


def collected(policy, questions, config, weights=RewardConfig(), seed=0, inputs=None):  # noqa: B008
    inputs = inputs or PromptInputs(policy, PROMPT, cache_gib=1)
    engine = None if config.rollout.importance == "none" else AnotherPolicy()
    sampled = sample_completions(policy, questions, inputs(questions), PROMPT, config, seed=seed, step=1, engine=engine)
    return rewarded(sampled, config, weights).batches


def rewarded(sampled, config, weights=RewardConfig()):  # noqa: B008
    return Rewarder(weights, config, PROMPT).reward([ScoredBatch(batch, None) for batch in sampled], progress=0.0)


def update(policy, reference, batches, config, optimizer, rate):
    scored = score_with_reference(policy, reference, [batch.sampled for batch in batches], config)
    for batch, with_reference in zip(batches, scored, strict=True):
        batch.reference_logp = with_reference.reference_logp
    return update_from(policy, batches, config, optimizer, rate)


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


def spread_advantages(batches):
    """Set advantages that differ from row to row, whatever the completions are."""
    for batch in batches:
        batch.advantages = torch.linspace(-1, 1, len(batch.advantages), dtype=torch.float64)
    return batches


def trained_of(module) -> dict[str, torch.Tensor]:
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def sgd(module, rate) -> torch.optim.Optimizer:
    return torch.optim.SGD(trained_of(module).values(), lr=rate)


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
                ratio = torch.exp(logp[t] - before[t])
                clipped = torch.clamp(ratio, 1 - config.clip_low, 1 + config.clip_high)
                term = -torch.minimum(ratio * advantage, clipped * advantage)
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


def moved(policy, start) -> dict[str, torch.Tensor]:
    now = dict(policy.module.named_parameters())
    return {name: (now[name] - before).detach() for name, before in start.items()}


def assert_same_move(found, expected, tolerance):
    """Compare each tensor, relative to its own norm, or to 1e-3 of the norm of all where that is larger."""
    whole = torch.stack([move.norm() for move in expected.values()]).norm()
    assert whole > 0
    for name, move in expected.items():
        error = (found[name] - move).norm() / torch.clamp(move.norm(), min=1e-3 * whole)
        assert error < tolerance, (name, float(error))


def weights_of(policy):
    return {name: parameter.detach().clone() for name, parameter in policy.module.named_parameters()}


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
    "three iterations": {"num_iterations": 3},
    "importance weights": {"rollout": {"importance": "truncate", "importance_cap": 1.1}},
    "importance weights in dapo, two iterations": {
        **{"rollout": {"importance": "truncate", "importance_cap": 1.1}, "normalization": "dapo", "num_iterations": 2},
        **{"tokens_per_micro_batch": 1},
    },
}


@pytest.mark.parametrize(
    ("arch", "name"),
    [(arch, name) for arch in MODELS for name in (STEPS if arch == ARCHITECTURES[0] else ["grpo"])],
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


class CountedClips:
    """Counts the clips that a model encodes."""

    def __init__(self, model):
        self.n = 0
        self._encode = model.encode_audio
        model.encode_audio = self._counted

    def _counted(self, inputs):
        self.n += sum(model_input.features is not None for model_input in inputs)
        return self._encode(inputs)


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize(
    ("tower", "iterations", "by_policy", "by_reference"),
    [(True, 1, 2, 2), (True, 2, 4, 2), (False, 1, 2, 0), (False, 2, 2, 0)],
    ids=["trained", "trained, two iterations", "frozen", "frozen, two iterations"],
)
def test_a_clip_is_encoded_once_per_prompt_and_step(arch, questions, tower, iterations, by_policy, by_reference):
    """Two of the three prompts have a clip. Only a second iteration of a trained tower, whose weights changed since,
    and a reference with another tower encode again."""
    policy = policy_of(arch, {"audio_tower": tower, "projector": tower, "language_model": True})
    reference = frozen_copy(policy)
    encoded, encoded_by_reference = CountedClips(policy), CountedClips(reference)
    if not tower:
        assert next(reference.parts["audio_tower"].parameters()).data_ptr() in {
            parameter.data_ptr() for parameter in policy.module.parameters()
        }
    config = settings(num_iterations=iterations)
    update(policy, reference, collected(policy, questions, config), config, sgd(policy.module, 0.01), 0.01)
    assert (encoded.n, encoded_by_reference.n) == (by_policy, by_reference)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_repeated_rows_encode_every_clip_again_for_each_completion(arch, questions):
    """This shows that the count above can fail: the plain form encodes each clip 1 + G times."""
    policy = policy_of(arch)
    encoded = CountedClips(policy)
    config = settings(policy_pass="repeated", beta=0.0)
    update(policy, None, collected(policy, questions, config), config, sgd(policy.module, 0.01), 0.01)
    assert encoded.n == 2 * (1 + 4)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_three_switches_name_disjoint_parts_that_cover_what_trains(arch):
    model = tiny_model(arch)
    names = {}
    for part, switches in PARTS.items():
        model.set_trainable(**switches)
        names[part] = set(trained_of(model.module))
        assert names[part]
        assert model.audio_trains == (part != "language model")
    assert sum(map(len, names.values())) == len(set().union(*names.values()))
    model.set_trainable(**EVERYTHING)
    assert set().union(*names.values()) == set(trained_of(model.module))
    model.set_trainable(**dict.fromkeys(EVERYTHING, False))
    assert not trained_of(model.module)
    assert not model.audio_trains


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("part", [*PARTS, "everything"])
def test_frozen_parts_stay_bit_for_bit_and_trained_parts_change(arch, questions, part):
    """The step has audio and text; one micro-batch has no clip."""
    policy = policy_of(arch, PARTS.get(part, EVERYTHING))
    before, trains = weights_of(policy), set(trained_of(policy.module))
    config = settings(tokens_per_micro_batch=1)
    optimizer = build_optimizer(policy.module, learning_rate=1e-3, betas=(0.9, 0.999), weight_decay=0.0)
    batches = spread_advantages(collected(policy, questions, config))
    figures = update(policy, frozen_copy(policy), batches, config, optimizer, 1e-3)
    changed = {name for name, move in moved(policy, before).items() if bool((move != 0).any())}
    assert changed <= trains
    assert len(changed) > 0.9 * len(trains)
    assert figures.grad_norm > 0
    assert all(parameter.grad is None for parameter in policy.module.parameters())


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_step_of_text_alone_leaves_a_model_of_which_only_the_tower_trains_as_it_is(arch, questions):
    policy = policy_of(arch, PARTS["audio tower"])
    before = weights_of(policy)
    batches = spread_advantages(collected(policy, [questions[1]], settings()))
    figures = update(policy, frozen_copy(policy), batches, settings(), sgd(policy.module, 1.0), 1.0)
    assert figures.grad_norm == 0.0
    assert not any((move != 0).any() for move in moved(policy, before).values())


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_reference_never_changes_and_shares_what_does_not_train(arch, questions):
    policy = policy_of(arch, {"audio_tower": False, "projector": True, "language_model": True})
    trains = set(trained_of(policy.module))
    reference = frozen_copy(policy)
    own, theirs = dict(policy.module.named_parameters()), dict(reference.module.named_parameters())
    assert own.keys() == theirs.keys()
    for name in own:
        assert (own[name].data_ptr() == theirs[name].data_ptr()) == (name not in trains), name
    assert not trained_of(reference.module)
    assert not reference.module.training
    assert set(trained_of(policy.module)) == trains
    before = weights_of(reference)
    for _ in range(2):
        batches = spread_advantages(collected(policy, questions, settings(num_iterations=2)))
        figures = update(policy, reference, batches, settings(num_iterations=2), sgd(policy.module, 0.1), 0.1)
    assert figures.kl > 0
    assert not any((move != 0).any() for move in moved(reference, before).values())
    assert not reference.module.training


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
