"""Attention over packed rows in two parts equals attention pair by pair."""

import math
from dataclasses import replace

import pytest
import torch
from tiny_models import tiny_folder
from torch.nn.attention.bias import causal_lower_right

from harken.errors import CheckpointError
from harken.models.loading import load_model
from harken.models.qwen_audio import QwenAudio
from harken.models.shared_prefix import SharedPrefix, shared_prefix, two_part_attention

HEADS, KEY_HEADS, SIZE = 4, 2, 8
SHAPES = [(5, [3, 0, 4]), (2, [2, 2]), (6, []), (1, [9])]
"""Prompt tokens and the places of each completion: ragged, of one length, none, and longer than its prompt."""


def pair_by_pair(query, key, value, shapes):
    """[B, W, heads, D]: each position's softmax over the positions that it may see, in a loop."""
    out = torch.zeros(query.shape[0], query.shape[2], HEADS, SIZE, dtype=query.dtype)
    for b, (prompt, lengths) in enumerate(shapes):
        begins = [prompt + sum(lengths[:g]) for g in range(len(lengths))]
        starts = [(place, 0) for place in range(prompt)]
        starts += [(begin + i, begin) for begin, n in zip(begins, lengths, strict=True) for i in range(n)]
        for place, own in starts:
            seen = [j for j in range(place + 1) if j < prompt or j >= own]
            for head in range(HEADS):
                group = head // (HEADS // KEY_HEADS)
                scores = key[b, group, seen] @ query[b, head, place] / math.sqrt(SIZE)
                out[b, place, head] = scores.softmax(0) @ value[b, group, seen]
    return out


def states():
    generator = torch.Generator().manual_seed(5)
    width = max(prompt + sum(lengths) for prompt, lengths in SHAPES) + 1
    shape = (len(SHAPES), HEADS, width, SIZE)
    query = torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
    keys = torch.randn((2, len(SHAPES), KEY_HEADS, width, SIZE), generator=generator, dtype=torch.float64)
    return query, keys[0].clone().requires_grad_(), keys[1].clone().requires_grad_()


def as_on_a_gpu(packed: SharedPrefix) -> SharedPrefix:
    """With the bias that flash attention takes. On a CPU torch makes a mask of it."""
    rows = [
        row if row.bias is None else replace(row, bias=causal_lower_right(*row.bias.shape[2:])) for row in packed.rows
    ]
    return SharedPrefix(tuple(rows), packed.longest_prompt)


@pytest.mark.parametrize("bias", ["additive", "causal_lower_right"])
def test_two_parts_equal_attention_pair_by_pair_with_gradients(bias):
    given = states()
    packed = shared_prefix(SHAPES, given[0])
    packed = packed if bias == "additive" else as_on_a_gpu(packed)
    attended, expected = two_part_attention(*given, packed), pair_by_pair(*given, SHAPES)
    for b, (prompt, lengths) in enumerate(SHAPES):
        assert not attended[b, prompt + sum(lengths) :].any()
    assert (attended - expected).abs().max() < 1e-12
    weights = torch.linspace(-1, 1, expected.numel(), dtype=torch.float64).view_as(expected)
    for own, wanted in zip(
        torch.autograd.grad((attended * weights).sum(), given),
        torch.autograd.grad((expected * weights).sum(), given),
        strict=True,
    ):
        assert (own - wanted).abs().max() < 1e-12


def test_in_mixed_precision_attention_is_computed_in_bfloat16():
    query, key, value = (tensor.float() for tensor in states())
    with torch.autocast("cpu", torch.bfloat16):
        attended = two_part_attention(query, key, value, shared_prefix(SHAPES, query))
    assert attended.dtype == torch.bfloat16
    assert (attended - pair_by_pair(query, key, value, SHAPES)).abs().max() < 0.05


def test_a_language_model_with_sliding_windows_is_refused():
    """Its layers would attend to the whole row, because harken's masks know no windows."""
    model = load_model(str(tiny_folder("qwen2_audio")), device="cpu")
    model.parts["language_model"].config.layer_types[1] = "sliding_attention"
    with pytest.raises(CheckpointError, match="sliding windows"):
        QwenAudio(model.module, model.processor)
