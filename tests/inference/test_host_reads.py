"""The host reads from the device once in eight decoded tokens, and seldom in encoding, prefill, scoring and update."""

import copy

import numpy as np
import pytest
import torch
from tiny_models import ARCHITECTURES, EVERYTHING, MODELS, make_prompt, speaking, tiny_model

from counting import Counter
from harken.inference import decode as decode_module
from harken.inference.completions import as_completions
from harken.inference.decode import decode
from harken.inference.log_probabilities import score_packed
from harken.inference.prefill import prefill
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.system.random import uniforms


def embedded(model):
    inputs = [make_prompt(model, "Which digit?", 0.6, 1), make_prompt(model, "What is 2 + 2?", None, 2)]
    with torch.no_grad():
        return model.embed(inputs, model.encode_audio(inputs))


def numbers(rows, n):
    return torch.from_numpy(np.stack([uniforms(0, 1, "q", g, n) for g in range(rows)]))


def reads_of(model, n, *, filtered, graph):
    """Names of the host reads while so many tokens are decoded. No row ends."""
    model.eos_token_ids = (-5,)
    prompts = prefill(model, embedded(model))
    options = {"top_p": 0.9, "top_k": 20} if filtered else {}
    sampling = Sampling(1.2, n, cuda_graph=graph, stop_check_every=8, **options)
    with Counter() as counter:
        decode(model, prompts, 2, sampling, numbers(4, n))
    return counter.reads


@pytest.mark.parametrize("arch", MODELS)
@pytest.mark.parametrize("graph", [False, True], ids=["growing", "fixed"])
@pytest.mark.parametrize("filtered", [False, True])
def test_the_host_reads_once_in_eight_tokens(arch, graph, filtered):
    model = speaking(tiny_model(arch), "one", "two", sharpness=0.4)
    short, long = (reads_of(model, n, filtered=filtered, graph=graph) for n in (8, 8 + 5 * 8))
    assert len(long) - len(short) == 5
    assert set(long) - set(short) <= {"tolist"}


def test_a_host_read_in_the_loop_is_seen(monkeypatch):
    model = speaking(tiny_model(MODELS[0]), "one", "two", sharpness=0.4)
    draw = decode_module._draw

    def draw_and_look(*given):
        drawn, logp = draw(*given)
        assert bool((drawn >= 0).all())
        assert len(drawn[drawn >= 0]) == len(drawn.nonzero()) == len(drawn)
        assert drawn[0].item() == drawn.tolist()[0]
        return drawn, logp

    quiet = reads_of(model, 8, filtered=False, graph=False)
    monkeypatch.setattr(decode_module, "_draw", draw_and_look)
    loud = reads_of(model, 8, filtered=False, graph=False)
    assert len(loud) == len(quiet) + 8 * 5


@pytest.mark.parametrize("arch", MODELS)
@pytest.mark.parametrize("graph", [False, True], ids=["growing", "fixed"])
def test_looking_less_often_at_which_rows_have_ended_changes_no_completion(arch, graph):
    model = speaking(tiny_model(arch), "one", "two", "three", "dog", "barking", sharpness=0.7)
    prompts, drawn = embedded(model), numbers(12, 21)
    each, rarely = (
        rollout(model, prompts, 6, Sampling(1.2, 21, cuda_graph=graph, stop_check_every=n), drawn) for n in (1, 8)
    )
    assert len(set(each.lengths.tolist())) > 3
    assert torch.equal(rarely.tokens, each.tokens)
    assert torch.equal(rarely.mask, each.mask)
    assert torch.equal(rarely.ended, each.ended)
    assert (rarely.logp - each.logp).abs().max() < 1e-9


@pytest.mark.parametrize("every", [1, 8])
def test_a_policy_that_diverges_is_an_error(every):
    model = speaking(tiny_model(MODELS[0]), "one", "two", sharpness=0.4)
    with torch.no_grad():
        model.module.lm_head.bias[7] = torch.nan
    with pytest.raises(ValueError, match="the policy has diverged"):
        rollout(model, embedded(model), 2, Sampling(1.0, 9, stop_check_every=every), numbers(4, 9))


def step_reads(model, prompts: int, tokens: int) -> dict[str, list[str]]:
    """Stage -> names of its host reads, for so many prompts with two completions of so many tokens."""
    texts = [("Which digit is it? " * (1 + i), 0.5 + 0.2 * i) for i in range(prompts)]
    inputs = [make_prompt(model, text, seconds, i) for i, (text, seconds) in enumerate(texts)]
    answers = [torch.arange(5, 5 + tokens - i % 2) for i in range(2 * prompts)]
    completions = as_completions(answers, model.device)
    audio = model.encode_audio(inputs)
    stages = {
        "encode": lambda: model.encode_audio(inputs),
        "embed and prefill": lambda: prefill(model, model.embed(inputs, audio)),
        "score": lambda: score_packed(model, model.embed(inputs, audio), completions).logp.sum().backward(),
    }
    reads = {}
    for name, run in stages.items():
        with Counter() as counter:
            run()
        reads[name] = counter.reads
    return reads


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_no_pass_reads_more_for_more_tokens_and_for_more_prompts_only_what_is_in_host_memory(arch):
    """A prompt's placeholders are counted in its ids, and a row is laid out from its lengths, in host memory."""
    model = copy.deepcopy(tiny_model(arch))
    model.set_trainable(**EVERYTHING)
    few, more, longer = (step_reads(model, prompts, tokens) for prompts, tokens in ((2, 5), (4, 5), (2, 9)))
    for stage in few:
        assert sorted(few[stage]) == sorted(longer[stage])
    # For each prompt: its placeholders, checked when it is encoded and when it is embedded; in scoring also its layout.
    most = {"encode": 1, "embed and prefill": 1, "score": 5}
    for stage, reads in more.items():
        assert len(reads) - len(few[stage]) <= 2 * most[stage], stage
