"""Packed rows, and completions after prefilled prompts, have the scores and gradients of the plain repeated form."""

import pytest
import torch
from prompt_batches import BATCHES, LENGTHS, relative_errors
from tiny_models import ARCHITECTURES, completions, gradients, make_prompt, tiny_model

from harken.inference import packed_rows
from harken.inference.completions import Completions, as_completions
from harken.inference.log_probabilities import score_continued, score_packed, score_repeated
from harken.inference.prefill import prefill
from harken.models.policy import enable_gradient_checkpointing

TRAINED = {"everything": (True, True), "frozen tower": (False, False), "projector and language model": (False, True)}


def both_forms(
    arch: str, batch: str, trained: str, checkpointing: bool, dtype: torch.dtype, shared="packed", rows=None
):
    """Scores and the gradients of a weighted sum of log-probabilities, with the prompt shared and repeated.

    Args:
        rows: the completions; default: rows of LENGTHS, all different.
    """
    results = []
    for form in (shared, "repeated"):
        model = tiny_model(arch, dtype)
        tower, projector = TRAINED[trained]
        model.set_trainable(audio_tower=tower, projector=projector, language_model=True)
        if checkpointing:
            enable_gradient_checkpointing(model.module)
        model.module.train()
        inputs = [make_prompt(model, text, seconds, seed) for seed, (text, seconds) in enumerate(BATCHES[batch])]
        rows = completions(model, LENGTHS) if rows is None else rows
        if form == "packed":
            scores = score_packed(model, model.embed(inputs, model.encode_audio(inputs)), rows)
        elif form == "continued":
            scores = score_continued(model, prefill(model, model.embed(inputs, model.encode_audio(inputs))), rows)
        else:
            scores = score_repeated(model, inputs, rows)
        weights = torch.linspace(-1, 1, scores.logp.numel(), dtype=dtype).view_as(scores.logp)
        (scores.logp * weights).sum().backward()
        results.append((scores, gradients(model)))
    return results


def assert_equal_forms(shared, repeated):
    (scores, own_gradients), (expected, expected_gradients) = shared, repeated
    assert (scores.logp - expected.logp).abs().max() < 1e-9
    assert (scores.entropy - expected.entropy).abs().max() < 1e-9
    errors = relative_errors(own_gradients, expected_gradients)
    assert max(errors.values()) < 1e-8, max(errors, key=errors.__getitem__)


FORMS = {"two parts": 0.0, "one mask": float("inf")}
"""How attention of packed rows is computed -> the value of PAIRS_FOR_TWO_PARTS that has it so."""


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("trained", TRAINED)
@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointing"])
def test_packed_row_equals_repeated_form_in_float64(arch, batch, trained, checkpointing, monkeypatch):
    form = "one mask" if checkpointing and trained == "frozen tower" else "two parts"
    monkeypatch.setattr(packed_rows, "PAIRS_FOR_TWO_PARTS", FORMS[form])
    assert_equal_forms(*both_forms(arch, batch, trained, checkpointing, torch.float64))


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("trained", TRAINED)
@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointing"])
@pytest.mark.parametrize("form", FORMS)
def test_packed_row_equals_repeated_form_in_float64_with_attention_in_either_form(
    arch, batch, trained, checkpointing, form, monkeypatch
):
    monkeypatch.setattr(packed_rows, "PAIRS_FOR_TWO_PARTS", FORMS[form])
    assert_equal_forms(*both_forms(arch, batch, trained, checkpointing, torch.float64))


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointing"])
def test_packed_row_equals_repeated_form_in_float32(arch, batch, checkpointing):
    (packed, packed_gradients), (plain, plain_gradients) = both_forms(
        arch, batch, "everything", checkpointing, torch.float32
    )
    assert (packed.logp - plain.logp).abs().max() < 1e-5
    errors = relative_errors(packed_gradients, plain_gradients)
    assert max(errors.values()) < 1e-4, max(errors, key=errors.__getitem__)


def largest_masks(prompts: int, lengths: list[int], parts: float, monkeypatch) -> tuple[list[int], int]:
    """The numbers in each attention mask that is kept for the backward pass, largest first, and the row's width."""
    monkeypatch.setattr(packed_rows, "PAIRS_FOR_TWO_PARTS", parts)
    model = tiny_model("qwen2_5_omni", torch.float32)
    model.set_trainable(audio_tower=False, projector=False, language_model=True)
    (prompt,) = model.embed([make_prompt(model, "What is 2 + 2?", None)], [None])
    rows, kept = completions(model, lengths), {}

    def keep(tensor):
        if tensor.is_floating_point() and tensor.isinf().any():
            kept[tensor.untyped_storage().data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        scores = score_packed(model, [prompt[:prompts]], rows)
    assert scores.logp.requires_grad
    return sorted(kept.values(), reverse=True), prompts + sum(lengths) - len(lengths)


@pytest.mark.parametrize(("lengths", "form"), [([3, 3], "one mask"), ([30, 40, 40], "two parts")])
def test_attention_takes_two_parts_where_completions_are_long_and_no_layer_keeps_a_mask_of_its_own(
    lengths, form, monkeypatch
):
    """With 20 tokens of prompt and completions of 3 tokens the row has 24 x 24 = 576 pairs, and two parts would have
    20 x 20 + 2 x 2 x 22 = 488, of which 1.25 times is 610. With 30, 40 and 40 tokens the row has 127 x 127 pairs; in
    two parts the completions' mask has 39 x (20 + 39) numbers."""
    masks, width = largest_masks(20, lengths, packed_rows.PAIRS_FOR_TWO_PARTS, monkeypatch)
    assert masks == ([width * width] if form == "one mask" else [39 * 59])


@pytest.mark.core
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_audio_tower_gets_a_gradient_where_it_trains_and_none_where_it_is_frozen(arch):
    (_, trained), _ = both_forms(arch, "audio", "everything", False, torch.float64)
    (_, frozen), _ = both_forms(arch, "audio", "frozen tower", False, torch.float64)
    tower = [name for name in trained if "audio_tower" in name]
    assert len(tower) > 10
    assert all(trained[name].norm() > 0 for name in tower if "k_proj.bias" not in name)
    assert not any("audio_tower" in name for name in frozen)


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("trained", ["everything", "frozen tower"])
def test_completions_after_prompts_computed_with_gradients_equal_the_repeated_form(arch, batch, trained):
    assert_equal_forms(*both_forms(arch, batch, trained, False, torch.float64, shared="continued"))


def rows_of(*rows: list[int]) -> Completions:
    return as_completions([torch.tensor(row) for row in rows], torch.device("cpu"))


REPEATS = {
    "one token each": rows_of([30], [31], [32], [30], [33], [34]),
    "repeated": rows_of([30, 31, 2], [40, 2], [30, 31, 2], [30, 31, 2], [30, 31], [30, 31, 2]),
    "all equal": rows_of(*[[30, 31, 2]] * 6),
    "one token, repeated": rows_of(*[[30]] * 6),
    "longer than the prompts": completions(tiny_model(), [70, 90, 80, 1, 95, 60]),
    "longer, repeated": rows_of(*[[*range(30, 100 + r % 2), 2] for r in range(6)]),
}


@pytest.mark.parametrize("rows", REPEATS)
@pytest.mark.parametrize("shared", ["two parts", "one mask", "continued"])
@pytest.mark.parametrize("batch", ["audio", "mixed"])
def test_long_and_repeated_completions_have_the_scores_and_gradients_of_plain_rows(rows, shared, batch, monkeypatch):
    monkeypatch.setattr(packed_rows, "PAIRS_FOR_TWO_PARTS", FORMS.get(shared, 0.0))
    shared = "packed" if shared in FORMS else shared
    forms = both_forms("qwen2_5_omni", batch, "everything", False, torch.float64, shared=shared, rows=REPEATS[rows])
    assert_equal_forms(*forms)


def test_a_completion_that_is_repeated_in_a_group_is_computed_once():
    """The first prompt has [a b] twice and [a]. The second has [a] too, in a row of its own, and [c d e] twice."""
    model = tiny_model("qwen2_5_omni")
    embedded = model.embed(inputs := [make_prompt(model, "What is 2 + 2?", None)] * 2, [None] * len(inputs))
    widths, hidden = [], model.hidden
    model.hidden = lambda embeddings, *given, **named: (
        widths.append(embeddings.shape) or hidden(embeddings, *given, **named)
    )
    score_packed(model, embedded, rows_of([30, 31], [30, 31], [30], [30], [42, 43, 44], [42, 43, 44]))
    score_packed(model, embedded, rows_of([30, 31], [32, 33], [34], [30], [42, 43, 44], [45, 46, 47]))
    assert [width[1] - len(embedded[0]) for width in widths] == [2, 4]


def test_scoring_does_not_change_prefilled_prompts():
    model = tiny_model("qwen2_5_omni")
    inputs = [make_prompt(model, text, seconds, seed) for seed, (text, seconds) in enumerate(BATCHES["mixed"])]
    kept = prefill(model, model.embed(inputs, model.encode_audio(inputs)))
    longest = kept.cache.get_seq_length()
    first = score_continued(model, kept, completions(model, LENGTHS))
    assert kept.cache.get_seq_length() == longest
    assert torch.equal(score_continued(model, kept, completions(model, LENGTHS)).logp, first.logp)
