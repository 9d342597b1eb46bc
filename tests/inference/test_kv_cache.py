"""The growing KV cache holds what transformers' own cache holds, and copies less; the fixed one decodes alike."""

import contextlib
import copy
from types import SimpleNamespace

import pytest
import torch
from tiny_models import make_prompt, tiny_model
from transformers import DynamicCache

from harken.inference import kv_cache_growing
from harken.inference.kv_cache_fixed import FixedCacheDecoder
from harken.inference.kv_cache_growing import ROOM_TOKENS, branch
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling


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


@pytest.mark.parametrize("arch", ["qwen2_5_omni", "qwen2_audio"])
def test_under_autocast_keys_are_kept_as_attention_reads_them_and_nothing_changes(arch, monkeypatch):
    model = tiny_model(arch, dtype=torch.float32)
    inputs = [make_prompt(model, "Which digit?", 0.6, 1), make_prompt(model, "What is 2 + 2, and why?", None, 2)]
    drawn, kept = torch.rand(6, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), []
    grow = kv_cache_growing.GrowingLayer._grow

    def grow_and_look(layer, *given):
        grow(layer, *given)
        kept.append((layer._all_keys.dtype, layer._all_values.dtype))

    monkeypatch.setattr(kv_cache_growing.GrowingLayer, "_grow", grow_and_look)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        embedded = model.embed(inputs, model.encode_audio(inputs))
        growing, fixed = (rollout(model, embedded, 3, Sampling(1.0, 12, cuda_graph=g), drawn) for g in (False, True))
        assert set(kept) == {(torch.bfloat16, torch.bfloat16)}
        monkeypatch.setattr(kv_cache_growing, "dtype_in_attention", lambda tensor: tensor.dtype)
        as_they_come = rollout(model, embedded, 3, Sampling(1.0, 12), drawn)
        assert kept[-1] == (torch.float32, torch.float32)
    assert torch.equal(growing.tokens, as_they_come.tokens)
    assert torch.equal(growing.logp, as_they_come.logp)
    assert fixed.mask.any(1).all()
    assert torch.equal(
        growing.tokens[:, 0], fixed.tokens[:, 0]
    )  # bfloat16 sums over the longer cache round differently


def test_where_a_driver_refuses_to_record_decoding_goes_on_and_no_later_rollout_tries_again(monkeypatch):
    @contextlib.contextmanager
    def refuse(graph, capture_error_mode):
        assert capture_error_mode == "thread_local"
        raise RuntimeError("operation not permitted\nwhile a stream is captured")
        yield

    stream = SimpleNamespace(wait_stream=lambda other: None)
    for name, fake in (
        *(("current_stream", lambda: stream), ("Stream", lambda: stream), ("CUDAGraph", object)),
        *(("stream", lambda stream: contextlib.nullcontext()), ("graph", refuse)),
    ):
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setattr(FixedCacheDecoder, "can_record", True)
    decoder = FixedCacheDecoder(tiny_model("qwen2_5_omni"), 2, 5, 3)
    monkeypatch.setattr(decoder, "_compute", lambda: None)
    with pytest.warns(RuntimeWarning, match="decoding goes on without a CUDA graph: operation not permitted$"):
        assert decoder._record() is None
    assert not FixedCacheDecoder(tiny_model("qwen2_5_omni"), 2, 5, 3).can_record
