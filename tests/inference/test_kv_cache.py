"""The growing KV cache holds what transformers' own cache holds, and copies less."""

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


def test_it_holds_what_transformers_own_cache_holds_while_it_grows_and_rows_are_removed():
    transformers_cache, growing_cache = filled(), filled()
    transformers_cache.batch_repeat_interleave(3)
    branch(growing_cache, 3, 5 + ROOM_TOKENS + 10)
    numbers, rows = torch.Generator().manual_seed(1), 6
    for step in range(ROOM_TOKENS + 10):
        if step in (4, ROOM_TOKENS + 3):
            kept = torch.arange(rows)[1:]
            transformers_cache.batch_select_indices(kept)
            growing_cache.batch_select_indices(kept)
            rows -= 1
        for layer in range(2):
            keys, values = torch.randn(2, rows, 3, 1, 4, generator=numbers)
            expected_keys, expected_values = transformers_cache.update(keys, values, layer)
            all_keys, all_values = growing_cache.update(keys, values, layer)
            assert torch.equal(all_keys, expected_keys)
            assert torch.equal(all_values, expected_values)
    assert growing_cache.get_seq_length() == transformers_cache.get_seq_length() == 5 + ROOM_TOKENS + 10


def test_branching_leaves_the_prompts_tensors_as_they_are():
    cache = filled()
    before = copy.deepcopy([(layer.keys, layer.values) for layer in cache.layers])
    tensors = [(layer.keys, layer.values) for layer in cache.layers]
    branch(cache, 1, 9)
    cache.update(torch.ones(2, 3, 1, 4), torch.ones(2, 3, 1, 4), 0)
    for (keys, values), (keys_before, values_before) in zip(tensors, before, strict=True):
        assert torch.equal(keys, keys_before)
        assert torch.equal(values, values_before)


def test_a_token_is_written_behind_the_others_and_not_copied_with_them():
    cache = filled()
    branch(cache, 2, 5 + 2 * ROOM_TOKENS)
    places = {cache.update(torch.ones(4, 3, 1, 4), torch.ones(4, 3, 1, 4), 0)[0].data_ptr() for _ in range(ROOM_TOKENS)}
    assert len(places) == 1


def test_there_is_never_more_room_than_tokens_can_come():
    cache = filled()
    branch(cache, 2, 5 + 3)
    assert [layer._all_keys.shape for layer in cache.layers] == [(4, 3, 5 + 3, 4)] * 2
    for _ in range(4):  # one more than was announced
        cache.update(torch.ones(4, 3, 1, 4), torch.ones(4, 3, 1, 4), 0)
    assert cache.layers[0].keys.shape[2] == 9
