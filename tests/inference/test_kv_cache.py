"""The rollout's cache against transformers' own, which it replaces."""

import copy

import torch
from transformers import DynamicCache

from harken.inference.kv_cache_growing import ROOM_TOKENS, branch


def filled(layers=2, prompts=2, tokens=5) -> DynamicCache:
    cache, numbers = DynamicCache(), torch.Generator().manual_seed(0)
    for layer in range(layers):
        keys, values = torch.randn(2, prompts, 3, tokens, 4, generator=numbers)
        cache.update(keys, values, layer)
    return cache


def test_it_holds_what_transformers_own_holds_through_growth_and_rows_that_leave():
    theirs, ours = filled(), filled()
    theirs.batch_repeat_interleave(3)
    branch(ours, 3)
    numbers, rows = torch.Generator().manual_seed(1), 6
    for step in range(ROOM_TOKENS + 10):
        if step in (4, ROOM_TOKENS + 3):
            kept = torch.arange(rows)[1:]
            theirs.batch_select_indices(kept)
            ours.batch_select_indices(kept)
            rows -= 1
        for layer in range(2):
            keys, values = torch.randn(2, rows, 3, 1, 4, generator=numbers)
            for a, b in zip(theirs.update(keys, values, layer), ours.update(keys, values, layer), strict=True):
                assert torch.equal(a, b)
    assert ours.get_seq_length() == theirs.get_seq_length() == 5 + ROOM_TOKENS + 10


def test_branching_leaves_the_prompts_tensors_as_they_are():
    cache = filled()
    before = copy.deepcopy([(layer.keys, layer.values) for layer in cache.layers])
    held = [(layer.keys, layer.values) for layer in cache.layers]
    branch(cache, 1)
    cache.update(torch.ones(2, 3, 1, 4), torch.ones(2, 3, 1, 4), 0)
    assert all(
        torch.equal(a, b) for one, other in zip(held, before, strict=True) for a, b in zip(one, other, strict=True)
    )


def test_a_token_is_written_behind_the_others_and_not_copied_with_them():
    cache = filled()
    branch(cache, 2)
    places = {cache.update(torch.ones(4, 3, 1, 4), torch.ones(4, 3, 1, 4), 0)[0].data_ptr() for _ in range(ROOM_TOKENS)}
    assert len(places) == 1
