"""Log-probabilities and entropies in pieces: values and gradients of the plain form, and its memory."""

import math

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from harken.models.token_scores import score_tokens

ROWS, HIDDEN, WORDS = 10, 3, 9


def plain(head, hidden, targets, temperature):
    """The whole logits at once, by autograd, as the mathematics are written."""
    logits = head(hidden)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    logp = torch.log_softmax(logits / temperature, -1)
    entropy = torch.distributions.Categorical(logits=logits / temperature).entropy()
    return logp.gather(-1, targets[:, None])[:, 0], entropy.detach()


def case(*, bias=False, dtype=torch.float64):
    generator = torch.Generator().manual_seed(3)
    head = nn.Linear(HIDDEN, WORDS, bias=bias, dtype=dtype)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    hidden = torch.randn(ROWS, HIDDEN, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    return head, hidden, torch.randint(WORDS, (ROWS,), generator=generator)


def scores_and_gradients(score, head, hidden, targets, temperature):
    logp, entropy = score(head, hidden, targets, temperature)
    (logp * torch.linspace(-1, 2, ROWS, dtype=logp.dtype)).sum().backward()
    gradients = [hidden.grad, *(parameter.grad for parameter in head.parameters())]
    hidden.grad = None
    head.zero_grad()
    assert not entropy.requires_grad
    return logp.detach(), entropy, gradients


@pytest.mark.parametrize("rows", [1, 3, 5, 10, 11])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_values_and_gradients_in_pieces_are_those_of_the_whole_logits(rows, bias, temperature):
    head, hidden, targets = case(bias=bias)
    expected = scores_and_gradients(plain, head, hidden, targets, temperature)
    own = scores_and_gradients(lambda *given: score_tokens(*given, rows=rows), head, hidden, targets, temperature)
    for actual, wanted in zip((*own[:2], *own[2]), (*expected[:2], *expected[2]), strict=True):
        assert (actual - wanted).abs().max() < 1e-12

    def check(states, weight):
        return score_tokens(_Head(weight, head.bias), states, targets, temperature, rows)[0]

    assert torch.autograd.gradcheck(check, (hidden, head.weight))


class _Head:
    def __init__(self, weight, bias):
        self.weight, self.bias = weight, bias


def test_a_row_by_hand():
    """Logits 0, ln 2, 0: probabilities 1/4, 1/2, 1/4, entropy 1.5 ln 2. The gradient at the first word is
    (1 - 1/4, -1/2, -1/4)."""
    head = nn.Linear(1, 3, bias=False, dtype=torch.float64)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[0.0], [math.log(2)], [0.0]]))
    logp, entropy = score_tokens(head, torch.ones(1, 1, dtype=torch.float64), torch.tensor([0]), 1.0)
    assert logp.item() == pytest.approx(math.log(1 / 4))
    assert entropy.item() == pytest.approx(1.5 * math.log(2))
    logp.sum().backward()
    assert head.weight.grad[:, 0].tolist() == pytest.approx([0.75, -0.5, -0.25])


@pytest.mark.parametrize("trains", ["head", "hidden", "neither"])
@pytest.mark.parametrize("rows", [3, 10])
def test_what_does_not_train_gets_no_gradient(trains, rows):
    head, hidden, targets = case()
    head.requires_grad_(trains == "head")
    logp, _ = score_tokens(head, hidden.detach().requires_grad_(trains == "hidden"), targets, 1.0, rows)
    assert logp.requires_grad == (trains != "neither")
    if trains != "neither":
        logp.sum().backward()
    assert (head.weight.grad is not None) == (trains == "head")


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [3, 10])
def test_in_mixed_precision_values_and_gradients_are_those_of_autocast(stored, rows):
    head, hidden, targets = case(dtype=stored)
    with torch.autocast("cpu", torch.bfloat16):
        expected = scores_and_gradients(plain, head, hidden, targets, 1.0)
        own = scores_and_gradients(lambda *given: score_tokens(*given, rows=rows), head, hidden, targets, 1.0)
    assert torch.equal(own[0], expected[0])
    assert (own[1] - expected[1]).abs().max() < 1e-5
    for actual, wanted in zip(own[2], expected[2], strict=True):
        assert actual.dtype == stored
        assert (actual - wanted).abs().max() <= 0.02 * wanted.abs().max()


class _LargestTensor(TorchDispatchMode):
    """The most rows of logits in any tensor that an operator makes."""

    def __init__(self, words):
        super().__init__()
        self.words, self.rows = words, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.shape[1:] == (self.words,):
            self.rows = max(self.rows, len(out))
        return out


def test_no_more_rows_of_logits_than_allowed_are_ever_made():
    head, hidden, targets = case()
    with _LargestTensor(WORDS) as seen:
        score_tokens(head, hidden, targets, 1.0, rows=4)[0].sum().backward()
    assert seen.rows == 4
    with _LargestTensor(WORDS) as seen:
        plain(head, hidden, targets, 1.0)[0].sum().backward()
    assert seen.rows == ROWS
