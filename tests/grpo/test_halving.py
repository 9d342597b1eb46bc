"""A micro-batch that does not fit is halved at a group boundary, with a note, and changes nothing."""

import copy

import pytest
import torch
from small_optimizers import far
from small_runs import recipe
from tiny_models import ARCHITECTURES, EVERYTHING, speaking, tiny_model

from harken.errors import HarkenError
from harken.grpo.batch import sample
from harken.grpo.out_of_memory import halving
from harken.grpo.update import score_with_reference, update
from harken.inference.prompt_inputs import PromptInputs
from harken.models.policy import frozen_copy
from harken.questions.prompt import Prompt
from harken.types import Question


def out_of_memory(most: int):
    """A hook that refuses more than so many rows, as a full card would; `.refused` counts."""

    def refuse(module, given, *_):
        if len(given[0]) > most - 1:
            refuse.refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB. GPU 0 is full")

    refuse.refused = 0
    return refuse


QUESTIONS = [Question(name, f"What is {name} + 2?", ("one", "two"), 0, None) for name in "abcd"]


def stepped(start, settings, fits, in_backward=False):
    """Weights and figures of one step where more than `fits` questions at once do not fit into the policy's pass."""
    policy, reference, notes = copy.deepcopy(start), frozen_copy(start), []
    prompts = Prompt.from_config(recipe("m", "d").prompt)
    inputs = PromptInputs(policy, prompts, 1)
    batches = list(sample(policy, QUESTIONS, inputs(QUESTIONS), prompts, settings, seed=0, step=1))
    for batch in batches:
        batch.rewards, batch.reward = {}, torch.zeros(len(batch.questions), 2)
        batch.advantages = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(len(batch.questions))
    optimizer = torch.optim.SGD([p for p in policy.module.parameters() if p.requires_grad], lr=0.1)
    # In the last block, after other batches and blocks have left their gradients.
    hook = out_of_memory(fits + 1)
    backward = lambda module, given, out: hook(module, out)  # noqa: E731
    policy.parts["language_model"].layers[0].register_full_backward_hook(backward)
    reference.parts["language_model"].layers[2].mlp.register_forward_pre_hook(out_of_memory(fits + 1))
    score_with_reference(policy, reference, batches, settings, notes.append)
    figures = update(policy, batches, settings, optimizer, 0.1, notes.append)
    return policy, figures, notes, [len(batch.questions) for batch in batches]


@pytest.mark.parametrize("arch", ARCHITECTURES[:1])
def test_a_micro_batch_that_does_not_fit_is_halved_and_changes_nothing(arch):
    start = speaking(tiny_model(arch), "one", "two", sharpness=0.4)
    start.set_trainable(**EVERYTHING)
    settings = recipe("m", "d").grpo.model_copy(
        update={"prompts_per_micro_batch": 4, "max_completion_tokens": 4, "num_iterations": 2, "max_grad_norm": 1.0}
    )
    whole, expected, silence, sizes = stepped(start, settings, 4)
    assert (silence, sizes) == ([], [4])
    for fits, left in ((2, [2, 2]), (1, [1, 1, 1, 1]), (3, [2, 2])):
        policy, figures, notes, sizes = stepped(start, settings, fits)
        assert sizes == left
        assert notes[0].startswith("a micro-batch of 4 questions does not fit into memory; going on with 2 (CUDA out")
        assert far(policy.module, whole.module) < 1e-12
        for name in ("loss", "kl", "entropy", "grad_norm", "logp_gap_max"):
            assert getattr(figures, name) == pytest.approx(getattr(expected, name), abs=1e-10), name
    with pytest.raises(HarkenError, match=r"one question with its 2 completions .*`harken plan`"):
        stepped(start, settings, 0)


def test_only_the_largest_micro_batches_count_as_too_large():
    class Groups:
        def __init__(self, n):
            self.questions, self.responses = [None] * n, [None] * n

        def groups(self, first, last):
            return Groups(min(last, len(self.questions)) - first)

    batches, undone = [Groups(5), Groups(2)], []

    def run():
        if len(batches[0].questions) > 1:
            raise torch.OutOfMemoryError("full")
        return "done"

    notes = []
    assert halving(batches, run, lambda: undone.append(1), notes.append) == "done"
    assert [len(batch.questions) for batch in batches] == [1] * 7
    assert [note.split()[3] + note.split("with ")[1][0] for note in notes] == ["53", "32", "21"]
    assert len(undone) == 3
