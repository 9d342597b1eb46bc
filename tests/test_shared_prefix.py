"""The packed row against the plain repeated form."""

import pytest
import torch

from harken.models.loading import enable_gradient_checkpointing
from harken.shared_prefix import score_packed, score_repeated
from tiny_models import ARCHITECTURES, completions, gradients, prompt, tiny_model

BATCHES = {
    "audio": [("Which digit?", 0.7), ("Two digits are spoken in the audio. What is their sum?", 2.3)],
    "text only": [("What is 2 + 2?", None), ("Which of these is an instrument and which is not?", None)],
    "mixed": [("Which digit?", 1.1), ("What is 2 + 2?", None), ("And which one comes second?", 0.06)],
}
LENGTHS = [1, 5, 3, 1, 9, 2]
TRAINED = {"everything": (True, True), "frozen tower": (False, False), "projector and language model": (False, True)}


def both_forms(arch: str, batch: str, trained: str, checkpointing: bool, dtype: torch.dtype):
    """Log-probabilities and gradients of a weighted sum of them, packed and repeated."""
    results = []
    for form in ("packed", "repeated"):
        model = tiny_model(arch, dtype)
        tower, projector = TRAINED[trained]
        model.set_trainable(audio_tower=tower, projector=projector, language_model=True)
        if checkpointing:
            enable_gradient_checkpointing(model.module)
        model.module.train()
        inputs = [prompt(model, text, seconds, seed) for seed, (text, seconds) in enumerate(BATCHES[batch])]
        rows = completions(model, LENGTHS)
        if form == "packed":
            scores = score_packed(model, model.embed(inputs, model.encode_audio(inputs)), rows)
        else:
            scores = score_repeated(model, inputs, rows)
        weights = torch.linspace(-1, 1, scores.logp.numel(), dtype=dtype).view_as(scores.logp)
        (scores.logp * weights).sum().backward()
        results.append((scores, gradients(model)))
    return results


def relative_errors(found: dict, expected: dict) -> dict[str, float]:
    """Per tensor: |found - expected| / max(|expected|, 1e-3 of the global norm)."""
    whole = torch.stack([gradient.norm() for gradient in expected.values()]).norm()
    return {
        name: float((found[name] - gradient).norm() / torch.clamp(gradient.norm(), min=1e-3 * whole))
        for name, gradient in expected.items()
    }


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("trained", TRAINED)
@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointing"])
def test_packed_row_equals_repeated_form_in_float64(arch, batch, trained, checkpointing):
    (packed, packed_gradients), (plain, plain_gradients) = both_forms(
        arch, batch, trained, checkpointing, torch.float64
    )
    assert (packed.logp - plain.logp).abs().max() < 1e-9
    assert (packed.entropy - plain.entropy).abs().max() < 1e-9
    errors = relative_errors(packed_gradients, plain_gradients)
    assert max(errors.values()) < 1e-8, max(errors, key=errors.__getitem__)


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


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_audio_tower_gets_a_gradient_where_it_trains_and_none_where_it_is_frozen(arch):
    (_, trained), _ = both_forms(arch, "audio", "everything", False, torch.float64)
    (_, frozen), _ = both_forms(arch, "audio", "frozen tower", False, torch.float64)
    tower = [name for name in trained if "audio_tower" in name]
    assert len(tower) > 10
    assert all(trained[name].norm() > 0 for name in tower if "k_proj.bias" not in name)
    assert not any("audio_tower" in name for name in frozen)
