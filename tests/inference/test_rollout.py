"""Rollouts equal transformers' own generate, and a sample depends on nothing but its own uniform numbers."""

import contextlib
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from tiny_models import (
    ARCHITECTURES,
    MODELS,
    PADS_CLIPS_TOGETHER,
    make_prompt,
    plain_arguments,
    plain_logp,
    speaking,
    tiny_model,
)
from transformers import DynamicCache

from harken.inference import prefill as prefill_module
from harken.inference.completions import Completions, completion_texts
from harken.inference.kv_cache_fixed import FixedCacheDecoder
from harken.inference.log_probabilities import score_packed
from harken.inference.prefill import next_token_logits
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.models.policy import enable_gradient_checkpointing
from harken.system.random import uniforms

PROMPTS = {
    "audio": [("Which digit is spoken in the audio?", 0.9), ("Which?", 0.06), ("Two digits. What is their sum?", 1.7)],
    "text only": [("What is 2 + 2?", None), ("Which of these is an instrument and which one is not?", None)],
    "mixed": [("Which digit?", 1.1), ("What is 2 + 2?", None), ("And which one comes second?", 0.4)],
}


def inputs_of(model, batch):
    return [make_prompt(model, text, seconds, seed) for seed, (text, seconds) in enumerate(PROMPTS[batch])]


def embedded(model, inputs):
    with torch.no_grad():
        return model.embed(inputs, model.encode_audio(inputs))


def numbers(rows, n, name="q"):
    return torch.from_numpy(np.stack([uniforms(0, 1, name, g, n) for g in range(rows)]))


def generate(model, inputs, group, n, **options):
    """New tokens of transformers' own generate, [R, L], 0 after the end."""
    if model.module.config.model_type in PADS_CLIPS_TOGETHER and len(inputs) > 1:
        rows = [row for prompt in inputs for row in generate(model, [prompt], group, n, **options)]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    arguments = plain_arguments(inputs, model.module)
    if "input_features" in arguments:
        arguments["input_features"] = arguments["input_features"].to(model.module.lm_head.weight.dtype)
    out = model.module.generate(
        **{**arguments, "num_return_sequences": group, "max_new_tokens": n, "pad_token_id": 0},
        **{"eos_token_id": list(model.eos_token_ids), **options},
    )
    return out[:, arguments["input_ids"].shape[1] :]


def tokens_that_end_rows_apart(rows) -> tuple[int, int]:
    """Two tokens such that each ends a row, and the rows do not all end at the same place."""
    tokens = sorted({token for row in rows for token in row})
    for a, b in combinations(tokens, 2):
        ends = [min(row.index(t) if t in row else 99 for t in (a, b)) for row in rows]
        ended_by = {row[end] for row, end in zip(rows, ends, strict=True) if end < 99}
        if len(set(ends)) > 1 and ended_by == {a, b} and max(end for end in ends if end < 99) > 0:
            return a, b
    raise AssertionError(f"the rows are too much alike: {rows}")


@pytest.mark.parametrize("arch", MODELS)
@pytest.mark.parametrize("batch", PROMPTS)
@pytest.mark.parametrize("stopping", [False, True], ids=["to the maximum", "several end tokens"])
def test_greedy_tokens_are_those_of_generate(arch, batch, stopping):
    model = tiny_model(arch)
    inputs = inputs_of(model, batch)
    greedy = Sampling(temperature=0, max_completion_tokens=10)
    rows = rollout(model, embedded(model, inputs), 3, greedy, None)
    if stopping:
        model.eos_token_ids = tokens_that_end_rows_apart(rows.tokens[::3].tolist())
        rows = rollout(model, embedded(model, inputs), 3, greedy, None)
        assert rows.ended.any()
        assert len(set(rows.lengths.tolist())) > 1
    expected = generate(model, inputs, 3, 10, do_sample=True, top_k=1)  # only so does generate give G greedy rows
    assert torch.equal(rows.tokens, expected)


@pytest.mark.parametrize("arch", MODELS)
def test_batch_layout_changes_no_sample(arch):
    model = speaking(tiny_model(arch), "one", "two", "three", "dog", "barking", sharpness=0.7)
    inputs = inputs_of(model, "audio") + inputs_of(model, "text only")
    group, sampling = 3, Sampling(temperature=1.2, max_completion_tokens=8)
    each = [numbers(group, 8, name=f"q{p}") for p in range(len(inputs))]
    together = rollout(model, embedded(model, inputs), group, sampling, torch.cat(each))
    assert len(set(together.lengths.tolist())) > 2
    for p, prompt in enumerate(inputs):
        alone = rollout(model, embedded(model, [prompt]), group, sampling, each[p])
        rows = slice(p * group, (p + 1) * group)
        width = alone.tokens.shape[1]
        assert torch.equal(together.mask[rows, :width], alone.mask)
        assert not together.mask[rows, width:].any()
        assert torch.equal(together.tokens[rows, :width], alone.tokens)
        assert torch.equal(together.ended[rows], alone.ended)
        assert (together.logp[rows, :width] - alone.logp).abs().max() < 1e-9


@pytest.mark.parametrize("arch", MODELS)
def test_the_fixed_cache_decodes_what_the_growing_cache_decodes(arch):
    model = speaking(tiny_model(arch), "one", "two", "three", "dog", "barking", sharpness=0.7)
    inputs = inputs_of(model, "audio") + inputs_of(model, "text only")
    drawn = torch.cat([numbers(3, 20, name=f"q{p}") for p in range(len(inputs))])
    growing, fixed = (
        rollout(model, embedded(model, inputs), 3, Sampling(1.2, 20, cuda_graph=fixed), drawn)
        for fixed in (False, True)
    )
    assert len(set(growing.lengths.tolist())) > 3
    assert torch.equal(fixed.tokens, growing.tokens)
    assert torch.equal(fixed.ended, growing.ended)
    assert (fixed.logp - growing.logp).abs().max() < 1e-9


def test_one_recording_serves_all_batches_of_a_rollout_and_changes_no_token(monkeypatch):
    recorded = []

    def record(decoder):
        """As CUDA does: what is recorded is computed again at each replay, into the same tensor."""
        recorded.append(torch.zeros_like(decoder._compute()))

        def replay():
            recorded[-1].copy_(decoder._compute())
            return recorded[-1]

        return replay

    model = speaking(tiny_model("qwen2_5_omni"), "one", "two", "three", "dog", "barking", sharpness=0.7)
    prompts = embedded(model, inputs_of(model, "audio"))  # three, of different lengths
    drawn = torch.cat([numbers(2, 20, name=f"q{p}") for p in range(len(prompts))])
    expected = rollout(model, prompts, 2, Sampling(1.2, 20), drawn)
    monkeypatch.setattr(FixedCacheDecoder, "_may_record", lambda decoder: True)
    monkeypatch.setattr(FixedCacheDecoder, "_record", record)
    for rollouts in (1, 2):
        sampled = rollout(model, prompts, 2, Sampling(1.2, 20, cuda_graph=True), drawn, most_rows=2)
        assert torch.equal(sampled.tokens, expected.tokens)
        assert len(recorded) == rollouts


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("seconds", [0.3, None], ids=["audio", "text"])
def test_first_two_tokens_have_the_models_distribution(arch, seconds):
    """Chi-square of 3,000 rows against probabilities of plain forwards, 10 likely tokens, one of which ends a row."""
    model = speaking(tiny_model(arch), "one", "two", "three", "dog", "barking", "W", "a", "n", "s", sharpness=0.5)
    prompt = make_prompt(model, "Which?", seconds)
    rows, cut = [], Sampling(temperature=1.0, max_completion_tokens=2)
    for part in range(3):
        rows += rollout(model, embedded(model, [prompt]), 1000, cut, numbers(1000, 2, f"part {part}")).tokens.tolist()

    vocabulary = model.module.lm_head.out_features
    with torch.no_grad():
        first = all_next(model.module, prompt, []).exp()
        likely = [t for t in range(vocabulary) if first[t] > 1e-3]
        assert 8 <= len(likely) <= 12
        expected = {}
        for t in likely:
            if t in model.eos_token_ids:
                expected[(t, 0)] = float(first[t])
            else:
                second = (first[t] * all_next(model.module, prompt, [t]).exp()).tolist()
                expected |= {(t, u): second[u] for u in range(vocabulary) if second[u] * len(rows) >= 5}
    counted = dict.fromkeys(expected, 0)
    others = 0
    for pair in map(tuple, rows):
        if pair in counted:
            counted[pair] += 1
        else:
            others += 1
    assert len(expected) > 20
    rest = 1 - sum(expected.values())
    shares = np.array([*expected.values(), rest])
    assert chisquare([*counted.values(), others], shares * len(rows)).pvalue > 1e-3


def all_next(module, prompt, tokens):
    """[V] log-probabilities of the token after prompt and `tokens`, by transformers' own forward."""
    arguments = plain_arguments([prompt], module)
    arguments["input_ids"] = torch.cat([prompt.input_ids, torch.tensor(tokens, dtype=torch.long)])[None]
    arguments["attention_mask"] = torch.ones_like(arguments["input_ids"])
    if "input_features" in arguments:
        arguments["input_features"] = arguments["input_features"].to(module.lm_head.weight.dtype)
    return torch.log_softmax(module(**arguments, use_cache=False).logits[0, -1], -1)


@pytest.mark.parametrize("arch", MODELS)
@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), [(1.2, 0, 1.0), (0.6, 5, 1.0), (1.5, 0, 0.7), (0.9, 12, 0.8)]
)
def test_temperature_top_k_and_top_p_are_those_of_generate(arch, temperature, top_k, top_p):
    model = tiny_model(arch)
    inputs = inputs_of(model, "mixed")
    arguments = plain_arguments(inputs, model.module)
    arguments["input_features"] = arguments["input_features"].to(torch.float64)
    out = model.module.generate(
        **{**arguments, "do_sample": True, "temperature": temperature, "top_k": top_k, "top_p": top_p},
        **{"max_new_tokens": 1, "output_scores": True, "return_dict_in_generate": True, "pad_token_id": 0},
    )
    expected = torch.softmax(out.scores[0].double(), -1)
    group = 50
    sampling = Sampling(temperature, 1, top_p, top_k)
    grid = ((torch.arange(group, dtype=torch.float64) + 0.37) / group).repeat(len(inputs))[:, None]
    rows = rollout(model, embedded(model, inputs), group, sampling, grid)
    for row, token in enumerate(rows.tokens[:, 0].tolist()):
        cumulative = expected[row // group].cumsum(0)
        assert token == int(torch.searchsorted(cumulative, grid[row, 0], right=True))
    untempered = torch.log_softmax(next_token_logits(model, embedded(model, inputs)), -1).repeat_interleave(group, 0)
    assert (rows.logp - untempered.gather(-1, rows.tokens)).abs().max() < 1e-12


@pytest.mark.parametrize("arch", MODELS)
@pytest.mark.parametrize("batch", PROMPTS)
def test_sampled_log_probabilities_are_those_of_the_training_pass(arch, batch):
    model = speaking(tiny_model(arch), "one", "two", "three", sharpness=0.4)
    inputs = inputs_of(model, batch)
    rows = rollout(model, embedded(model, inputs), 6, Sampling(1.2, 7), numbers(6 * len(inputs), 7, "other"))
    assert 1 in rows.lengths
    assert len(set(rows.lengths.tolist())) > 2
    with torch.no_grad():
        scored = score_packed(model, embedded(model, inputs), rows)
    assert (rows.logp - scored.logp).abs().max() < 1e-9
    for r, length in enumerate(rows.lengths.tolist()):
        with torch.no_grad():
            plain = plain_logp(model.module, inputs[r // 6], rows.tokens[r, :length])
        assert (rows.logp[r, :length] - plain).abs().max() < 1e-9


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_rows_that_end_change_nothing_for_the_others(arch):
    model = speaking(tiny_model(arch), "one", "two", "three", "dog", "barking", sharpness=0.7)
    inputs = inputs_of(model, "mixed")
    prompts, draws = embedded(model, inputs), numbers(12, 9)
    stopping = rollout(model, prompts, 4, Sampling(1.0, 9), draws)
    model.eos_token_ids = (-1,)  # no token ends a row now
    running = rollout(model, prompts, 4, Sampling(1.0, 9), draws)
    assert running.mask.all()
    assert len(set(stopping.lengths.tolist())) > 3
    for r, length in enumerate(stopping.lengths.tolist()):
        assert torch.equal(stopping.tokens[r, :length], running.tokens[r, :length])
        assert (stopping.logp[r, :length] - running.logp[r, :length]).abs().max() < 1e-9


@pytest.mark.parametrize("arch", MODELS)
def test_with_gradient_checkpointing_in_train_mode_the_cache_is_still_used(arch, monkeypatch):
    """transformers sets past_key_values to None in that mode, with nothing but a log line."""
    model = speaking(tiny_model(arch), "one", "two", "three", sharpness=0.7)
    inputs = inputs_of(model, "mixed")
    prompts, draws = embedded(model, inputs), numbers(6, 6)
    expected = rollout(model, prompts, 2, Sampling(1.0, 6), draws)
    assert not model.module.training
    model.set_trainable(audio_tower=True, projector=True, language_model=True)
    enable_gradient_checkpointing(model.module)
    model.module.train()
    rows = rollout(model, prompts, 2, Sampling(1.0, 6), draws)
    assert model.module.training
    assert torch.equal(rows.tokens, expected.tokens)
    assert torch.equal(rows.logp, expected.logp)
    monkeypatch.setattr(prefill_module, "evaluation_mode", lambda model: contextlib.nullcontext())
    with pytest.raises(RuntimeError, match="the cache holds 0 of"):
        rollout(model, prompts, 2, Sampling(1.0, 6), draws)


class Countdown:
    """A hand-made language model that predicts n - 1 after token n. H = V = 12, tokens are one-hot vectors."""

    eos_token_ids = (1, 3)

    def __init__(self, loses_cache=False):
        self.module = torch.nn.Identity().eval()
        self.loses_cache = loses_cache
        self.batches = []
        self.positions = []

    def embed_tokens(self, tokens):
        return torch.nn.functional.one_hot(tokens, 12).float()

    def new_cache(self):
        return DynamicCache()

    def hidden(self, embeddings, positions, mask, cache=None, read=None):
        assert not self.module.training
        self.batches.append(len(embeddings))
        self.positions.append(positions[:, -1].tolist())
        if not self.loses_cache:
            keys, _ = cache.update(embeddings[:, None], embeddings[:, None], 0)
            assert mask is None or mask.shape[-1] == keys.shape[2]
        return embeddings

    def logits(self, hidden):
        return 50.0 * torch.roll(hidden, -1, dims=-1)

    def decode(self, tokens):
        return " ".join(map(str, tokens))


def counted(model, starts, maximum=6, group=1):
    prompts = [model.embed_tokens(torch.tensor([9] * n + [start])) for n, start in enumerate(starts)]
    return rollout(model, prompts, group, Sampling(0, maximum), None)


def test_mask_lengths_and_ended_of_rows_that_end_at_different_times():
    model = Countdown()
    rows = counted(model, [2, 4, 7, 11, 6])
    assert rows.tokens.tolist() == [
        [1, 0, 0, 0, 0, 0],  # one token, the first end token
        [3, 0, 0, 0, 0, 0],  # one token, the other end token
        [6, 5, 4, 3, 0, 0],
        [10, 9, 8, 7, 6, 5],  # cut at the maximum
        [5, 4, 3, 0, 0, 0],
    ]
    assert torch.equal(rows.mask, rows.tokens > 0)
    assert rows.lengths.tolist() == [1, 1, 4, 6, 3]
    assert rows.ended.tolist() == [True, True, True, False, True]
    assert (rows.logp[~rows.mask] == 0).all()
    assert completion_texts(model, rows) == ["1", "3", "6 5 4 3", "10 9 8 7 6 5", "5 4 3"]


def test_finished_rows_are_removed_and_positions_continue_after_each_prompt():
    model = Countdown()
    counted(model, [2, 4, 7, 11, 6])
    assert model.batches == [5, 3, 3, 2, 1, 1]
    assert model.positions == [[0, 1, 2, 3, 4], [3, 4, 5], [4, 5, 6], [5, 6], [7], [8]]


def test_a_row_that_ends_with_the_last_token_allowed_has_ended():
    rows = counted(Countdown(), [7, 8], maximum=4)
    assert rows.lengths.tolist() == [4, 4]
    assert rows.ended.tolist() == [True, False]


def test_tokens_after_the_longest_row_are_not_kept():
    rows = counted(Countdown(), [2, 6], maximum=50)
    assert rows.tokens.shape == rows.mask.shape == rows.logp.shape == (2, 3)


def test_rows_are_prompt_major():
    rows = counted(Countdown(), [2, 7], group=3)
    assert rows.lengths.tolist() == [1, 1, 1, 4, 4, 4]


def test_train_mode_is_restored_even_after_an_error():
    model = Countdown()
    model.module.train()
    counted(model, [4])
    assert model.module.training
    model.loses_cache = True
    with pytest.raises(RuntimeError, match="the cache holds 0 of 1 prompt tokens after prefill"):
        counted(model, [4])
    assert model.module.training


def test_a_cache_shorter_than_the_prompt_is_an_error():
    with pytest.raises(RuntimeError, match="the cache holds 0 of 2 prompt tokens after prefill"):
        counted(Countdown(loses_cache=True), [4, 5])


def test_lengths_count_the_mask():
    mask = torch.tensor([[True, False], [True, True], [False, False]])
    assert Completions(mask.long(), mask, mask.double(), mask[:, 0]).lengths.tolist() == [1, 2, 0]
