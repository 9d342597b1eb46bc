"""The policy terms equal slow loops and TRL's loss, in value and gradient, and push in the right direction."""

import math

import pytest
import torch
from loss_steps import LONGEST, NORMALIZATIONS, L, R, loss_and_gradient, ours, small_step, trl_loss

from harken.grpo.objectives import policy_terms

OBJECTIVES = ("clipped", "gspo", "cispo")


@pytest.fixture
def step():
    return small_step()


def slow_loss_and_gradient(step, objective, normalization, beta):
    """The loss in loops, and its derivative by hand: d/dlp of rho A is rho A, of a clipped term 0."""
    lengths = [int(step.mask[i].sum()) for i in range(R)]
    loss, gradient = 0.0, torch.zeros(R, L, dtype=torch.float64)
    for i, n in enumerate(lengths):
        for t in range(n):
            weight = {"grpo": 1 / (n * R), "dr_grpo": 1 / (R * LONGEST), "dapo": 1 / sum(lengths)}[normalization]
            a, lp, ref = step.advantages[i].item(), step.logp[i, t].item(), step.ref[i, t].item()
            gaps = [step.logp[i, s].item() - step.old[i, s].item() for s in range(n)]
            if objective == "cispo":
                cap = min(math.exp(gaps[t]), 1.28)
                loss += -weight * cap * a * lp
                gradient[i, t] += -weight * cap * a
            else:
                rho = math.exp(sum(gaps) / n if objective == "gspo" else gaps[t])
                held = (rho > 1.28 and a > 0) or (rho < 0.8 and a < 0)
                loss += -weight * a * (1.28 if held and a > 0 else 0.8 if held else rho)
                moved = range(n) if objective == "gspo" else [t]
                for s in moved:  # a completion's ratio moves with each of its tokens
                    gradient[i, s] += 0.0 if held else -weight * a * rho / len(moved)
            loss += weight * beta * (math.exp(ref - lp) - (ref - lp) - 1)
            gradient[i, t] += weight * beta * (1 - math.exp(ref - lp))
    return torch.tensor(loss, dtype=torch.float64), gradient


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("beta", [0.0, 0.04])
def test_value_and_gradient_equal_loops_with_derivatives_by_hand(step, objective, normalization, beta):
    found = loss_and_gradient(
        lambda logp: ours(step, step.old, beta, normalization, logp=logp, objective=objective).loss, step.logp
    )
    torch.testing.assert_close(found, slow_loss_and_gradient(step, objective, normalization, beta), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("objective", "normalization"), [*(("gspo", each) for each in NORMALIZATIONS), ("cispo", "dapo")]
)
@pytest.mark.parametrize("beta", [0.0, 0.04])
@pytest.mark.parametrize("weighted", [False, True])
def test_value_gradient_and_figures_equal_trl(step, objective, normalization, beta, weighted):
    weights = 2 * torch.rand(R, L, dtype=torch.float64) if weighted else None

    def trl(logp):
        return trl_loss(step, step.old, beta, normalization, logp, weights, objective)

    def own(logp):
        return ours(step, step.old, beta, normalization, logp=logp, importance=weights, objective=objective)

    theirs = loss_and_gradient(lambda logp: trl(logp)[0], step.logp)
    torch.testing.assert_close(loss_and_gradient(lambda logp: own(logp).loss, step.logp), theirs, rtol=0, atol=1e-12)
    parts, figures = own(step.logp), trl(step.logp)[1]
    if objective == "gspo":  # TRL's share is over completions, harken's over the tokens in them
        lengths = step.mask.sum(1)
        mean_gap = ((step.logp - step.old) * step.mask).sum(1) / lengths.clamp(min=1)
        low = (mean_gap.exp() < 0.8) & (step.advantages < 0)
        assert low.sum() / R == pytest.approx(figures["clip_ratio/low_mean"], abs=1e-6)
        assert parts.clipped_low_sum == lengths[low].sum() > 0
    else:
        assert parts.clipped_low_sum == 0
        assert parts.clipped_high_sum == (((step.logp - step.old).exp() > 1.28) & step.mask).sum() > 0


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_at_one_update_for_each_rollout_all_have_one_gradient(step, objective, normalization):
    """rho = 1, so that no ratio is clipped: d loss / d lp = -A x weight, whatever the objective."""
    _, clipped = loss_and_gradient(lambda logp: ours(step, None, 0.04, normalization, logp=logp).loss, step.logp)
    _, other = loss_and_gradient(
        lambda logp: ours(step, None, 0.04, normalization, logp=logp, objective=objective).loss, step.logp
    )
    torch.testing.assert_close(other, clipped, rtol=0, atol=1e-15)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_descent_makes_good_completions_likelier_and_bad_ones_less_likely(step, objective):
    """A flipped sign anywhere in the term turns this around."""
    step.old = step.logp.clone()  # nothing is clipped
    _, gradient = loss_and_gradient(
        lambda logp: ours(step, step.old, 0.0, "grpo", logp=logp, objective=objective).loss, step.logp
    )
    pushed = -gradient[step.mask].sign()
    assert pushed.tolist() == step.advantages.sign()[:, None].expand(R, L)[step.mask].tolist()


@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_a_ratio_far_off_stops_a_clipped_token_and_not_one_of_cispo(advantage):
    """At rho = 3 (A > 0) or 1/3 (A < 0) the clipped terms are flat; cispo goes on with weight 1.28 or 1/3."""
    rho = 3.0 if advantage > 0 else 1 / 3
    mask, old = torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 1, dtype=torch.float64)
    slopes = {}
    for objective in OBJECTIVES:
        logp = torch.full((1, 1), math.log(rho), dtype=torch.float64, requires_grad=True)
        a = torch.tensor([[advantage]], dtype=torch.float64)
        terms, ratio = policy_terms(objective, logp, old, a, mask, clip_low=0.2, clip_high=0.28)
        terms.sum().backward()
        assert ratio.item() == pytest.approx(rho)
        slopes[objective] = logp.grad.item()
    assert slopes == pytest.approx({"clipped": 0, "gspo": 0, "cispo": -min(rho, 1.28) * advantage})


@pytest.mark.parametrize("objective", ["gspo", "cispo"])
@pytest.mark.parametrize("padding", [math.nan, math.inf, 1e9])
def test_padding_may_hold_anything_and_a_step_without_tokens_is_zero(step, objective, padding):
    def compute(logp):
        return ours(step, step.old, 0.04, "grpo", logp=logp, objective=objective).loss

    clean = loss_and_gradient(compute, step.logp)
    for tensor in (step.logp, step.old, step.ref):
        tensor[~step.mask] = padding
    torch.testing.assert_close(loss_and_gradient(compute, step.logp), clean, rtol=0, atol=0)
    step.mask[:] = False
    loss, gradient = loss_and_gradient(compute, step.logp)
    assert loss == 0
    assert not gradient.any()


@pytest.mark.parametrize("objective", ["gspo", "cispo"])
def test_micro_batches_add_up_to_the_step(step, objective):
    def whole(logp):
        return ours(step, step.old, 0.04, "dapo", logp=logp, objective=objective).loss

    def in_parts(logp):
        pieces = [slice(start, start + 5) for start in range(0, R, 5)]
        return sum(ours(step, step.old, 0.04, "dapo", rows, logp[rows], objective=objective).loss for rows in pieces)

    torch.testing.assert_close(
        loss_and_gradient(in_parts, step.logp), loss_and_gradient(whole, step.logp), rtol=0, atol=1e-15
    )
