"""The policy loss equals a slow loop and TRL's loss, and does not depend on how a step is split into micro-batches."""

import math

import pytest
import torch
from loss_steps import LONGEST, NORMALIZATIONS, L, R, loss_and_gradient, ours, small_step, trl_loss

from harken.grpo.loss import grpo_loss


@pytest.fixture
def step():
    return small_step()


def slow_loss(step, old, beta, normalization):
    rows = []
    for i in range(R):
        tokens = []
        for t in range(L):
            if not step.mask[i, t]:
                continue
            lp, ref, a = step.logp[i, t].item(), step.ref[i, t].item(), step.advantages[i].item()
            rho = 1.0 if old is None else math.exp(lp - old[i, t].item())
            objective = min(rho * a, max(0.8, min(1.28, rho)) * a)
            tokens.append(-objective + beta * (math.exp(ref - lp) - (ref - lp) - 1))
        rows.append(tokens)
    if normalization == "grpo":
        return sum(sum(tokens) / len(tokens) for tokens in rows if tokens) / R
    return sum(sum(tokens) for tokens in rows) / (R * LONGEST if normalization == "dr_grpo" else sum(map(len, rows)))


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("beta", [0.0, 0.04])
@pytest.mark.parametrize("several_updates", [False, True])
def test_loss_equals_a_slow_loop(step, several_updates, beta, normalization):
    old = step.old if several_updates else None
    assert ours(step, old, beta, normalization).loss.item() == pytest.approx(
        slow_loss(step, old, beta, normalization), abs=1e-12
    )


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("beta", [0.0, 0.04])
@pytest.mark.parametrize("several_updates", [False, True])
def test_loss_gradient_and_figures_equal_trl(step, several_updates, beta, normalization):
    old = step.old if several_updates else None
    theirs = loss_and_gradient(lambda logp: trl_loss(step, old, beta, normalization, logp)[0], step.logp)
    found = loss_and_gradient(lambda logp: ours(step, old, beta, normalization, logp=logp).loss, step.logp)
    torch.testing.assert_close(found, theirs, rtol=0, atol=1e-12)

    figures = trl_loss(step, old, beta, normalization, step.logp)[1]
    parts, tokens = ours(step, old, beta, normalization), step.mask.sum()
    assert (parts.kl_sum / tokens).item() == pytest.approx(figures.get("kl", 0.0), abs=1e-12)
    assert (parts.clipped_low_sum / tokens).item() == pytest.approx(figures["clip_ratio/low_mean"], abs=1e-6)
    assert (parts.clipped_high_sum / tokens).item() == pytest.approx(figures["clip_ratio/high_mean"], abs=1e-6)
    if several_updates:
        assert parts.clipped_low_sum > 0
        assert parts.clipped_high_sum > 0


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_importance_weights_multiply_the_policy_term_alone_as_in_trl(step, normalization):
    weights = 2 * torch.rand(R, L, dtype=torch.float64)
    theirs = loss_and_gradient(lambda logp: trl_loss(step, step.old, 0.04, normalization, logp, weights)[0], step.logp)
    found = loss_and_gradient(
        lambda logp: ours(step, step.old, 0.04, normalization, logp=logp, importance=weights).loss, step.logp
    )
    torch.testing.assert_close(found, theirs, rtol=0, atol=1e-12)
    weights[~step.mask] = math.nan
    soiled = loss_and_gradient(
        lambda logp: ours(step, step.old, 0.04, normalization, logp=logp, importance=weights).loss, step.logp
    )
    torch.testing.assert_close(soiled, found, rtol=0, atol=0)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("cut", [1, 2, 4])
def test_micro_batches_add_up_to_the_step(step, cut, normalization):
    whole = loss_and_gradient(lambda logp: ours(step, step.old, 0.04, normalization, logp=logp).loss, step.logp)

    def in_parts(logp):
        pieces = [slice(start, start + cut) for start in range(0, R, cut)]
        return sum(ours(step, step.old, 0.04, normalization, rows, logp[rows]).loss for rows in pieces)

    torch.testing.assert_close(loss_and_gradient(in_parts, step.logp), whole, rtol=0, atol=1e-15)


def test_one_update_per_rollout_has_ratio_one_and_a_gradient(step):
    parts = ours(step, None, 0.0, "grpo")
    assert parts.ratio_max == 1
    _, gradient = loss_and_gradient(lambda logp: ours(step, None, 0.0, "grpo", logp=logp).loss, step.logp)
    # d loss / d lp = -A / (tokens of the row x rows)
    assert gradient[0].tolist() == pytest.approx([-1.2 / (5 * R)] * 5)


def test_figures_are_sums_over_unmasked_tokens(step):
    parts = ours(step, step.old, 0.04, "dapo")
    ratio, mask = (step.logp - step.old).exp(), step.mask
    kl = [(step.ref - step.logp)[i, t].item() for i in range(R) for t in range(L) if mask[i, t]]
    assert parts.kl_sum.item() == pytest.approx(sum(math.exp(d) - d - 1 for d in kl))
    assert parts.ratio_max == ratio[mask].max()
    assert not any(getattr(parts, name).requires_grad for name in parts.__slots__ if name != "loss")


@pytest.mark.parametrize("padding", [math.nan, -math.inf, math.inf, 1e9])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_padding_may_hold_anything(step, padding, normalization):
    clean = loss_and_gradient(lambda logp: ours(step, step.old, 0.04, normalization, logp=logp).loss, step.logp)
    for tensor in (step.logp, step.old, step.ref):
        tensor[~step.mask] = padding
    soiled = loss_and_gradient(lambda logp: ours(step, step.old, 0.04, normalization, logp=logp).loss, step.logp)
    torch.testing.assert_close(soiled, clean, rtol=0, atol=0)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_step_with_every_row_left_out_is_zero_and_not_nan(step, normalization):
    step.mask[:] = False
    loss, gradient = loss_and_gradient(lambda logp: ours(step, None, 0.04, normalization, logp=logp).loss, step.logp)
    assert loss == 0
    assert not gradient.any()
    assert ours(step, None, 0.04, normalization).ratio_max == 0


def test_a_kl_weight_without_a_reference_is_an_error(step):
    with pytest.raises(ValueError, match=r"beta is 0\.04"):
        grpo_loss(step.logp, None, None, step.advantages, step.mask, beta=0.04, clip_low=0.2, clip_high=0.2,
                  normalization="grpo", max_completion_tokens=L, total_rows=R, total_tokens=1)  # fmt: skip
