"""Sampling: the right distribution, and the same token whatever else is in the batch."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest
from transformers import TopKLogitsWarper, TopPLogitsWarper

from harken.inference.sampling import filter_logits, inverse_cdf
from harken.system.random import uniforms

V = 12
LOGITS = torch.tensor([0.3, -1.2, 2.0, 0.0, 1.1, -0.4, 0.7, -2.0, 1.6, 0.2, -0.9, 0.5])


def test_uniforms_depend_on_every_part_of_the_name_and_on_nothing_else():
    first = uniforms(1, 2, "q", 3, 8)
    np.random.seed(0)
    assert (first == uniforms(1, 2, "q", 3, 8)).all()
    others = [uniforms(*name, 8) for name in [(0, 2, "q", 3), (1, 0, "q", 3), (1, 2, "r", 3), (1, 2, "q", 0)]]
    assert not any((first == other).any() for other in others)
    assert not (uniforms(1, 2, "3,q", 4, 8) == uniforms(1, 2, "q", 4, 8)).any()


def test_a_longer_request_begins_with_a_shorter_one():
    assert (uniforms(1, 2, "q", 3, 100)[:7] == uniforms(1, 2, "q", 3, 7)).all()


def test_uniforms_are_philox_keyed_by_the_hash_of_the_name():
    key = np.frombuffer(hashlib.blake2b("5,7,2,clip é".encode(), digest_size=16).digest(), dtype="<u8")
    raw = np.random.Philox(key=key).random_raw(6)
    assert uniforms(5, 7, "clip é", 2, 6).tolist() == [(int(word) >> 11) / 2**53 for word in raw]


def test_uniforms_of_many_samples_are_uniform():
    drawn = np.concatenate(
        [uniforms(0, step, f"q{q}", g, 5) for step in range(10) for q in range(20) for g in range(8)]
    )
    assert kstest(drawn, "uniform").pvalue > 1e-3


def slow_distribution(temperature, top_p, top_k):
    """Sort, cut and renormalise in plain Python."""
    p = torch.softmax(LOGITS.double() / temperature, 0).tolist()
    order = sorted(range(V), key=lambda i: -p[i])[: top_k or V]
    total, kept, mass = sum(p[i] for i in order), [], 0.0
    for i in order:
        if kept and mass >= top_p:
            break
        kept.append(i)
        mass += p[i] / total
    return [p[i] / sum(p[j] for j in kept) if i in kept else 0.0 for i in range(V)]


@pytest.mark.parametrize(
    ("temperature", "top_p", "top_k"),
    [(1, 1, 0), (1.2, 1, 0), (0.5, 1, 0), (1, 0.8, 0), (1, 1, 4), (1.2, 0.7, 6), (1, 0.01, 0)],
)
def test_tokens_follow_the_filtered_softmax(temperature, top_p, top_k):
    n = 20_000
    expected = slow_distribution(temperature, top_p, top_k)
    u = torch.from_numpy(uniforms(0, 0, f"{temperature} {top_p} {top_k}", 0, n))
    drawn = inverse_cdf(filter_logits(LOGITS.expand(n, V), temperature, top_p, top_k), u)
    counts = torch.bincount(drawn, minlength=V).tolist()
    assert [count for count, p in zip(counts, expected, strict=True) if p == 0] == [0] * expected.count(0.0)
    possible = [(count, n * p) for count, p in zip(counts, expected, strict=True) if p > 0]
    if len(possible) > 1:
        assert chisquare(*zip(*possible, strict=True)).pvalue > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("top_k", "top_p"), [(50, 0.9), (5, 0.3), (1, 0.9), (900, 0.999), (10_000, 0.5)])
def test_top_k_and_top_p_together_are_transformers_two_filters(dtype, top_k, top_p):
    torch.manual_seed(0)
    logits = 4 * torch.randn(20, 2000, dtype=dtype)
    no_ids = torch.empty(20, 0, dtype=torch.long)
    expected = TopPLogitsWarper(top_p)(no_ids, TopKLogitsWarper(top_k)(no_ids, logits / 1.2))
    torch.testing.assert_close(filter_logits(logits, 1.2, top_p, top_k), expected, rtol=0, atol=0)


def test_tokens_as_likely_as_the_last_one_that_is_kept_are_kept_too():
    # probabilities 0.4, 0.2, 0.2, 0.1, 0.1; the top 4 with ties are all five, and 0.4 + 0.2 reach 0.55
    logits = torch.tensor([[0.4, 0.1, 0.2, 0.2, 0.1]], dtype=torch.float64).log()
    assert filter_logits(logits, 1.0, 0.55, 4).isfinite().tolist() == [[True, False, True, True, False]]
    assert filter_logits(logits, 1.0, 0.85, 4).isfinite().all()
    assert filter_logits(logits, 1.0, 0.3, 4).isfinite().tolist() == [[True, False, False, False, False]]


def test_inverse_cdf_by_hand():
    logits = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64).log().expand(7, 3)
    u = torch.tensor([0, 0.49, 0.5, 0.74, 0.75, 0.99, 1])
    assert inverse_cdf(logits, u).tolist() == [0, 0, 1, 1, 2, 2, 2]


def test_a_token_does_not_depend_on_the_batch_it_is_drawn_in():
    torch.manual_seed(0)
    logits, u = torch.randn(16, 50), torch.from_numpy(uniforms(0, 0, "q", 0, 16))
    whole = inverse_cdf(filter_logits(logits, 1.2, 0.9, 20), u)
    alone = [inverse_cdf(filter_logits(logits[i : i + 1], 1.2, 0.9, 20), u[i : i + 1]).item() for i in range(16)]
    order = torch.randperm(16)
    assert whole.tolist() == alone
    assert inverse_cdf(filter_logits(logits[order], 1.2, 0.9, 20), u[order]).tolist() == whole[order].tolist()


@given(
    st.lists(st.just(-float("inf")) | st.floats(-30, 30), min_size=1, max_size=9).filter(lambda x: max(x) > -40),
    st.sampled_from([0.0, 5e-324, 0.5, 1 - 2**-53, 1.0]) | st.floats(0, 1),
)
def test_a_token_of_probability_zero_is_never_drawn(logits, u):
    drawn = inverse_cdf(torch.tensor([logits], dtype=torch.float64), torch.tensor([u], dtype=torch.float64)).item()
    assert logits[drawn] > -float("inf")


def test_a_sum_that_rounds_differently_from_place_to_place_changes_nothing(monkeypatch):
    # A scan on a GPU adds in another order at every place; here its rounding errors are much enlarged.
    torch.manual_seed(0)
    exact = torch.Tensor.cumsum
    monkeypatch.setattr(torch.Tensor, "cumsum", lambda x, dim: exact(x, dim) + 1e-3 * torch.rand_like(x))
    logits = torch.randn(4000, 30, dtype=torch.float64).masked_fill(torch.rand(4000, 30) < 0.6, -torch.inf)
    logits[:, 7] = 0
    drawn = inverse_cdf(logits, torch.linspace(0, 1, 4000, dtype=torch.float64))
    assert logits.gather(1, drawn[:, None]).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_ends_of_a_large_vocabulary_hold(dtype):
    torch.manual_seed(0)
    logits = torch.randn(2, 150_000).to(dtype)
    logits[:, :10] = logits[:, -10:] = -torch.inf
    assert inverse_cdf(logits, torch.tensor([0.0, 1.0])).tolist() == [10, 149_989]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_row_that_is_not_finite_gives_no_token(bad):
    logits = torch.tensor([[0.0, bad, 0.0], [0.0, 0.0, 1.0], [-torch.inf] * 3])
    assert inverse_cdf(logits, torch.tensor([0.5, 1.0, 0.5])).tolist() == [-1, 2, -1]


@pytest.mark.parametrize(("top_p", "top_k"), [(1, 0), (0.9, 0), (1, 50), (0.95, 1000)])
def test_float32_moves_a_distribution_over_a_published_vocabulary_by_less_than_1e_6(top_p, top_k):
    """Total variation and quantiles against float64. Top-p may keep or drop some of the least likely tokens at its
    border, where sums in float32 are off by 1e-4."""
    torch.manual_seed(0)
    logits = 3 * torch.randn(1, 152_064)
    exact = filter_logits(logits.double(), 1.2, top_p, top_k)
    rounded = filter_logits(logits, 1.2, top_p, top_k)
    p, q = torch.softmax(exact, -1)[0], torch.softmax(rounded.double(), -1)[0]
    changed = (exact.isfinite() != rounded.isfinite()).sum()
    if top_p < 1:
        assert float((p - q).abs().sum()) / 2 < 1e-4
    else:
        assert changed == 0
        assert float((p - q).abs().sum()) / 2 < 1e-6
    ends = q.cumsum(0)
    u = torch.linspace(0, 1, 34, dtype=torch.float64)[1:-1]
    drawn = inverse_cdf(rounded.expand(len(u), -1), u)
    # The quantile lies within 1e-6 of the token's own share of the distribution.
    assert ((ends - q)[drawn] - 1e-6 <= u).all()
    assert (u <= ends[drawn] + 1e-6).all()
