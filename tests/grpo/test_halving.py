"""A micro-batch that does not fit into memory is halved between two groups, with a warning, and changes no result."""

import copy

import pytest
import soundfile
import torch
from small_optimizers import largest_difference
from small_runs import small_recipe
from tiny_models import ARCHITECTURES, EVERYTHING, noise, speaking, tiny_model

from harken.errors import HarkenError
from harken.grpo.micro_batch import RewardedBatch
from harken.grpo.out_of_memory import halve_until_it_fits
from harken.grpo.reference_pass import score_with_reference
from harken.grpo.sample_completions import sample_completions
from harken.grpo.update import update
from harken.inference.prompt_inputs import PromptInputs
from harken.models.policy import frozen_copy
from harken.questions.prompt import Prompt
from harken.types import Question

PROMPT = Prompt.from_config(small_recipe("m", "d").prompt)
SETTINGS = small_recipe("m", "d").grpo.model_copy(
    update={"max_completion_tokens": 4, "num_iterations": 2, "max_grad_norm": 1.0}
)


@pytest.fixture(scope="module")
def questions(tmp_path_factory) -> list[Question]:
    """Four questions, the first and the third about a clip."""
    folder = tmp_path_factory.mktemp("clips")
    for seed, name in enumerate("ac"):
        soundfile.write(folder / f"{name}.wav", noise(0.5 + seed, seed), 16_000, subtype="FLOAT")
    return [
        Question(name, f"What is {name} + 2?", ("one", "two"), 0, folder / f"{name}.wav" if name in "ac" else None)
        for name in "abcd"
    ]


@pytest.fixture(scope="module")
def start():
    model = speaking(tiny_model(ARCHITECTURES[0]), "one", "two", sharpness=0.4)
    model.set_trainable(**EVERYTHING)
    return model


def refuse_rows(most: int):
    """A hook that raises the error of a full card where a pass has more than so many rows."""

    def refuse(module, given, *_):
        if len(given[0]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB. GPU 0 is full")

    return refuse


def run_step(start, questions, settings=SETTINGS, *, reference_fits=4, update_fits=4):
    """Make one step in which only so many questions at once fit into the reference pass and the backward pass.

    Returns the policy, the figures, the warnings and the sizes of the micro-batches in the end.
    """
    policy, reference, warnings = copy.deepcopy(start), frozen_copy(start), []
    inputs = PromptInputs(policy, PROMPT, 1)(questions)
    sampled = list(sample_completions(policy, questions, inputs, PROMPT, settings, seed=0, step=1))
    # In the last block of the pass, after other batches and blocks have left their gradients.
    in_backward = refuse_rows(update_fits)
    block = policy.parts["language_model"].layers[0]
    block.register_full_backward_hook(lambda module, _, gradients: in_backward(module, gradients))
    reference.parts["language_model"].layers[2].mlp.register_forward_pre_hook(refuse_rows(reference_fits))
    scored = score_with_reference(policy, reference, sampled, settings, warnings.append)
    batches = [
        RewardedBatch(
            sampled=batch.sampled,
            reference_logp=batch.reference_logp,
            reward_parts={},
            rewards=torch.zeros(len(batch.sampled.questions), 2),
            advantages=torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(len(batch.sampled.questions)),
        )
        for batch in scored
    ]
    optimizer = torch.optim.SGD([p for p in policy.module.parameters() if p.requires_grad], lr=0.1)
    figures = update(policy, batches, settings, optimizer, 0.1, warnings.append)
    return policy, figures, warnings, [len(batch.questions) for batch in batches]


@pytest.fixture(scope="module")
def whole_step(start, questions):
    """The step where everything fits."""
    policy, figures, warnings, sizes = run_step(start, questions)
    assert (warnings, sizes) == ([], [4])
    return policy, figures


@pytest.mark.parametrize(
    ("fits", "sizes"),
    [
        ({"reference_fits": 2, "update_fits": 2}, [2, 2]),
        ({"reference_fits": 1, "update_fits": 1}, [1, 1, 1, 1]),
        ({"reference_fits": 3, "update_fits": 3}, [2, 2]),
        ({"reference_fits": 2}, [2, 2]),
        ({"update_fits": 1}, [1, 1, 1, 1]),
    ],
)
def test_a_micro_batch_that_does_not_fit_is_halved_and_changes_nothing(start, questions, whole_step, fits, sizes):
    expected_policy, expected = whole_step
    policy, figures, warnings, left = run_step(start, questions, **fits)
    assert left == sizes
    assert warnings[0].startswith("a micro-batch of 4 questions does not fit into memory; going on with 2 (CUDA out")
    assert largest_difference(policy.module, expected_policy.module) < 1e-12
    for name in ("loss", "kl", "entropy", "grad_norm", "logp_gap_max"):
        assert getattr(figures, name) == pytest.approx(getattr(expected, name), abs=1e-10), name


def test_where_a_single_question_does_not_fit_the_error_says_what_helps(start, questions):
    with pytest.raises(HarkenError, match=r"one question with its completions .*`harken plan` names settings"):
        run_step(start, questions, reference_fits=0)


def test_sampling_that_does_not_fit_is_halved_and_draws_the_same_samples(start, questions):
    inputs = PromptInputs(start, PROMPT, 1)(questions)

    def sampled(most: int):
        policy, warnings = copy.deepcopy(start), []
        policy.parts["language_model"].layers[1].register_forward_pre_hook(refuse_rows(most))
        batches = list(
            sample_completions(policy, questions, inputs, PROMPT, SETTINGS, seed=0, step=1, warn=warnings.append)
        )
        texts = {response.question.id: [] for batch in batches for response in batch.responses}
        for batch in batches:
            for response in batch.responses:
                texts[response.question.id].append(response.text)
        return texts, [len(batch.questions) for batch in batches], warnings

    rows = SETTINGS.completions_per_prompt
    whole, sizes, warnings = sampled(4 * rows)
    assert (sizes, warnings) == ([4], [])
    halves, sizes, warnings = sampled(2 * rows)
    assert halves == whole
    assert sizes == [2, 2]
    assert warnings == ["a micro-batch of 4 questions does not fit into memory; going on with 2 (CUDA out of memory)"]
    with pytest.raises(HarkenError, match=r"one question with its completions .*: set memory\.rollout_rows"):
        sampled(rows - 1)


class Groups:
    """A micro-batch of `n` empty groups."""

    def __init__(self, n: int) -> None:
        self.questions = [None] * n

    def groups(self, first: int, last: int) -> "Groups":
        return Groups(min(last, len(self.questions)) - first)


def test_only_the_largest_micro_batches_are_halved():
    batches, undone, warnings = [Groups(5), Groups(2)], [], []

    def run() -> str:
        if len(batches[0].questions) > 1:
            raise torch.OutOfMemoryError("full")
        return "done"

    assert halve_until_it_fits(batches, run, undo=lambda: undone.append(1), warn=warnings.append) == "done"
    assert [len(batch.questions) for batch in batches] == [1] * 7
    assert [warning.split()[3] + warning.split("with ")[1][0] for warning in warnings] == ["53", "32", "21"]
    assert len(undone) == 3
