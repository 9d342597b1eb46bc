"""How much of a step is computed together changes no sample and no loss."""

import copy

import pytest
import soundfile
import torch
from small_optimizers import largest_difference
from tiny_models import ARCHITECTURES, EVERYTHING, noise, speaking, tiny_model

from counting import Counter
from harken.config import GrpoConfig, PromptConfig, Recipe
from harken.grpo.encoded_clips import EncodedClips
from harken.grpo.micro_batch import RewardedBatch
from harken.grpo.sample_completions import sample_completions
from harken.grpo.update import update
from harken.inference.prompt_inputs import PromptInputs
from harken.planning.memory_items import GIB, RESERVE
from harken.planning.shapes import shape_of
from harken.planning.step_sizes import StepSizes, sizes_that_fit, step_sizes
from harken.planning.ways_to_fit import plan_of
from harken.questions.prompt import Prompt
from harken.training.micro_batches import cut_by_tokens
from harken.types import Question

PROMPT = Prompt.from_config(PromptConfig())
GROUP, LONGEST = 4, 9
SIZES = {
    "one prompt at a time": StepSizes(rollout_rows=GROUP, tokens_per_micro_batch=1),
    "parts of a group": StepSizes(rollout_rows=3, tokens_per_micro_batch=1),
    "two prompts at a time": StepSizes(rollout_rows=2 * GROUP, tokens_per_micro_batch=250),
    "a cache of 400 tokens": StepSizes(rollout_tokens=400, tokens_per_micro_batch=250),
    "a cache smaller than a row": StepSizes(rollout_tokens=1),
    "all together, micro-batches of a prompt": StepSizes(tokens_per_micro_batch=1),
    "all together": StepSizes(),
}


@pytest.fixture(scope="module")
def questions(tmp_path_factory) -> list[Question]:
    """Prompts of five lengths, one without a clip."""
    folder = tmp_path_factory.mktemp("clips")
    chosen = [Question("t", "What is 2 + 2?", ("one", "two", "three"), 1, None)]
    for i, (seconds, text) in enumerate(
        [(0.4, "Which?"), (1.9, "Which digit?"), (0.7, "Which digit is it?"), (1.1, "")]
    ):
        soundfile.write(folder / f"{i}.wav", noise(seconds, i), 16_000, subtype="FLOAT")
        chosen.append(Question(f"q{i}", f"{text} Listen.", ("one", "two", "three"), 0, folder / f"{i}.wav"))
    return chosen


def float32_policy(arch):
    policy = speaking(tiny_model(arch, torch.float32), "one", "two", "three", "dog", "barking", sharpness=0.6)
    policy.set_trainable(**EVERYTHING)
    return policy


READS = Counter()
"""Holds the host reads of the last update."""


def step(start, questions, sizes, policy_pass="packed", n=1):
    """One step. Returns (completions by question, log-probabilities in that order, figures, policy, micro-batches)."""
    policy = copy.deepcopy(start)
    settings = GrpoConfig(
        completions_per_prompt=GROUP,
        max_completion_tokens=LONGEST,
        temperature=1.2,
        policy_pass=policy_pass,
        max_grad_norm=1e9,
        beta=0.0,
        num_iterations=n,
    )
    inputs = PromptInputs(policy, PROMPT, 1)(questions)
    sampled = list(
        sample_completions(policy, questions, inputs, PROMPT, settings, seed=3, step=1, sizes=copy.copy(sizes))
    )
    said, logp = {}, {}
    for batch in sampled:
        for r, response in enumerate(batch.responses):
            said.setdefault(response.question.id, []).append(response.text)
            logp.setdefault(response.question.id, []).extend(
                batch.completions.logp[r][batch.completions.mask[r]].tolist()
            )
    advantages = torch.tensor([1.0, -1.0, 0.5, -0.5], dtype=torch.float64)
    batches = [
        RewardedBatch(
            sampled=batch,
            reference_logp=None,
            reward_parts={},
            rewards=torch.zeros(len(batch.questions), GROUP),
            advantages=advantages.repeat(len(batch.questions)),
        )
        for batch in sampled
    ]
    optimizer = torch.optim.SGD([p for p in policy.module.parameters() if p.requires_grad], lr=0.01)
    with READS:
        READS.take()
        figures = update(policy, batches, settings, optimizer, 0.01)
    return said, [value for name in sorted(logp) for value in logp[name]], figures, policy, len(sampled)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("policy_pass", ["packed", "continued"])
def test_in_float32_no_width_changes_a_sample_or_a_loss(arch, policy_pass, questions):
    start = float32_policy(arch)
    expected, expected_logp, figures, policy, _ = step(start, questions, SIZES["one prompt at a time"], policy_pass)
    assert len({text for texts in expected.values() for text in texts}) > 5
    parts = {}
    for name, sizes in SIZES.items():
        said, logp, wide, moved, parts[name] = step(start, questions, sizes, policy_pass)
        assert said == expected, name
        assert logp == pytest.approx(expected_logp, abs=2e-5), name
        assert wide.loss == pytest.approx(figures.loss, abs=1e-6), name
        assert wide.entropy == pytest.approx(figures.entropy, abs=1e-5), name
        assert wide.grad_norm == pytest.approx(figures.grad_norm, rel=1e-4), name
        assert largest_difference(moved.module, policy.module) < 1e-6, name
    assert parts["one prompt at a time"] == parts["all together, micro-batches of a prompt"] == 5
    assert parts["all together"] == 1


@pytest.mark.slow
def test_a_second_update_encodes_the_clips_again_and_equals_one_prompt_at_a_time(questions):
    start = float32_policy(ARCHITECTURES[0])
    narrow, wide = (
        step(start, questions, SIZES[name], n=2)
        for name in ("one prompt at a time", "all together, micro-batches of a prompt")
    )
    assert wide[2].loss == pytest.approx(narrow[2].loss, abs=1e-6)
    assert largest_difference(wide[3].module, narrow[3].module) < 1e-6


@pytest.mark.parametrize("policy_pass", ["packed", "continued"])
def test_a_step_all_together_is_that_of_one_prompt_at_a_time(policy_pass, questions):
    """The short form of the proof above."""
    start = float32_policy(ARCHITECTURES[0])
    narrow, wide = (
        step(start, questions[:3], SIZES[name], policy_pass)
        for name in ("one prompt at a time", "all together, micro-batches of a prompt")
    )
    assert wide[0] == narrow[0]
    assert wide[2].loss == pytest.approx(narrow[2].loss, abs=1e-6)
    assert largest_difference(wide[3].module, narrow[3].module) < 1e-6


def test_gradients_of_encoded_clips_go_into_the_encoder_once():
    weight = torch.ones(3, requires_grad=True)
    clips = EncodedClips([weight * 2, None, weight * 5])
    first, nothing, second = clips.audio
    assert nothing is None
    assert clips.has_graph
    (first.sum() + 2 * first.sum()).backward()
    assert weight.grad is None
    clips.backward()
    assert weight.grad.tolist() == [6.0] * 3  # 2 x (1 + 2); the second clip got no gradient
    second.sum().backward()
    clips.backward()
    assert weight.grad.tolist() == [6.0] * 3
    assert not clips.has_graph
    assert not EncodedClips([torch.ones(2), None]).has_graph


@pytest.mark.parametrize(
    ("widths", "tokens", "rows", "parts"),
    [
        ([], 10, None, []),
        ([5], 1, None, [[5]]),
        ([2, 3, 4, 5], 9, None, [[2, 3], [4], [5]]),  # 3 x 4 = 12 and 2 x 5 = 10 are too many
        ([2, 3, 4, 5], 10, None, [[2, 3], [4, 5]]),
        ([5, 2, 2], 10, None, [[5, 2], [2]]),  # padded to the widest of the part
        ([1, 1, 1, 1, 1], 100, 2, [[1, 1], [1, 1], [1]]),
        ([9, 1, 1], 3, None, [[9], [1, 1]]),
    ],
)
def test_rows_are_cut_by_their_padded_tokens(widths, tokens, rows, parts):
    assert [widths[part] for part in cut_by_tokens(widths, tokens, rows)] == parts


def planned(**sections) -> Recipe:
    values = {
        "name": "x",
        "model": {"path": "Qwen/Qwen2.5-Omni-7B", "precision": "bf16_mixed", "gradient_checkpointing": True},
        "data": {"train": [{"file": "q.json"}]},
        "grpo": {"prompts_per_step": 64, "completions_per_prompt": 8, "beta": 0.0},
        **sections,
    }
    return Recipe.model_validate(values)


def test_a_larger_card_takes_more_at_once_and_never_more_than_it_has():
    recipe = planned(memory={"weights": "bf16_stochastic", "optimizer": "adamw_8bit"})
    shape = shape_of(recipe.model.path)
    sizes = [sizes_that_fit(recipe, recipe.grpo, shape, gib * GIB) for gib in (48, 60, 66)]
    tokens = [size.tokens_per_micro_batch for size in sizes]
    assert tokens == sorted(tokens)
    assert tokens[0] < tokens[-1]
    cache = [size.rollout_tokens for size in sizes]
    assert cache[0] < cache[1] < cache[2]
    for size, gib in zip(sizes[1:], (60, 66), strict=True):
        changed = recipe.grpo.model_copy(update={"tokens_per_micro_batch": size.tokens_per_micro_batch})
        assert plan_of(recipe, changed, shape).peak + RESERVE <= gib * GIB
        assert size.rollout_tokens * 57_344 < gib * GIB  # 2 x 28 layers x 512 x 2 bytes a token


def test_the_recipe_overrides_the_sizes():
    cpu = {"path": "m", "device": "cpu"}
    assert step_sizes(planned(model=cpu), planned(model=cpu).grpo) == StepSizes()
    grpo = {"prompts_per_step": 16, "tokens_per_micro_batch": 900}
    recipe = planned(model=cpu, grpo=grpo, memory={"rollout_rows": 24})
    assert step_sizes(recipe, recipe.grpo) == StepSizes(rollout_rows=24, tokens_per_micro_batch=900)
    whole = planned(model=cpu, grpo={"max_grad_norm": None}, memory={"step_in_backward": True})
    assert step_sizes(whole, whole.grpo).tokens_per_micro_batch > 10**9


@pytest.mark.parametrize("arch", ARCHITECTURES[:1])
def test_an_update_reads_its_sums_once_and_for_a_micro_batch_only_how_its_rows_lie(arch, questions):
    start, reads = float32_policy(arch), {}
    for width in ("all together", "all together, micro-batches of a prompt"):
        *_, micro_batches = step(start, questions, SIZES[width])
        reads[micro_batches] = len(READS.reads)
    assert sorted(reads) == [1, 5]
    assert reads[5] - reads[1] <= 4 * 6
