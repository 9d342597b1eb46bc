"""A streamed reference equals the copy, and an 8-bit reference is as near to it as documented."""

import pytest
import torch
from tiny_models import ARCHITECTURES, EVERYTHING, completions, tiny_model, two_prompts

from harken.inference.log_probabilities import score_packed
from harken.models.policy import frozen_copy
from harken.training.reference_model import make_reference, quantize_rows


def scored(model, said):
    inputs = two_prompts(model)
    with torch.no_grad():
        return score_packed(model, model.embed(inputs, model.encode_audio(inputs)), said).logp


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("tower", [True, False], ids=["everything", "language model"])
def test_a_streamed_reference_is_the_copy_bit_for_bit(arch, tower):
    policy = tiny_model(arch, torch.float32)
    policy.set_trainable(audio_tower=tower, projector=tower, language_model=True)
    kept, streamed = frozen_copy(policy), make_reference(policy, "streamed")
    said = completions(policy, [3, 1, 4, 2])
    expected = scored(kept, said)
    with torch.no_grad():
        for parameter in policy.module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)
    for _ in range(2):
        assert torch.equal(scored(streamed, said), expected)
    assert (scored(policy, said) - expected).abs().max() > 0.01
    names = [name for name, parameter in streamed.module.named_parameters() if parameter.untyped_storage().nbytes() < 9]
    assert names
    assert all(".layers." in name for name in names)
    assert any("audio_tower" in name for name in names) == tower
    shapes = {name: parameter.shape for name, parameter in policy.module.named_parameters()}
    assert {name: parameter.shape for name, parameter in streamed.module.named_parameters()} == shapes


@pytest.mark.parametrize(
    ("arch", "mode", "finer"),
    [
        *((arch, "copy", False) for arch in ARCHITECTURES),
        ("qwen2_5_omni", "copy", True),
        ("qwen2_audio", "streamed", True),
    ],
)
def test_a_reference_in_bfloat16_gives_the_bits_of_the_float32_copy_under_autocast(arch, mode, finer):
    policy = tiny_model(arch, torch.float32)
    policy.set_trainable(**EVERYTHING)
    if not finer:
        for parameter in policy.module.parameters():
            parameter.data.copy_(parameter.data.bfloat16())
    said = completions(policy, [3, 1, 4, 2])
    reference = make_reference(policy, mode, mixed=True)
    with torch.autocast("cpu", torch.bfloat16):
        expected = scored(frozen_copy(policy), said)
        assert torch.equal(scored(reference, said), expected)
    embedding = reference.module.get_input_embeddings().weight
    assert (embedding.dtype == torch.float32) == finer
    matrices = [p for p in reference.module.parameters() if p.ndim > 1 and p.shape != embedding.shape]
    halved = sum(p.numel() for p in matrices if p.dtype == torch.bfloat16)
    assert halved > 0.95 * sum(p.numel() for p in matrices)


def test_a_streamed_reference_survives_a_pass_that_was_broken_off():
    policy = tiny_model("qwen2_5_omni", torch.float32)
    policy.set_trainable(**EVERYTHING)
    streamed, said = make_reference(policy, "streamed"), completions(policy, [3, 1, 4, 2])
    expected = scored(streamed, said)
    block = streamed.parts["language_model"].layers[1].mlp

    def refuse(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    broken = block.register_forward_pre_hook(refuse)
    with pytest.raises(torch.OutOfMemoryError):
        scored(streamed, said)
    broken.remove()
    assert torch.equal(scored(streamed, said), expected)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_an_8_bit_reference_has_a_scale_a_row_and_is_near_the_copy(arch):
    policy = tiny_model(arch, torch.float32)
    policy.set_trainable(**EVERYTHING)
    eight, said = make_reference(policy, "int8"), completions(policy, [3, 1, 4, 2])
    error = (scored(eight, said) - scored(policy, said)).abs().max()
    assert 0 < error < 0.2
    codes = dict(eight.module.named_parameters())["lm_head.weight"]
    assert codes.dtype == torch.int8
    assert eight.device == policy.device
    for name, linear in policy.module.named_modules():
        if type(linear) is torch.nn.Linear:
            codes, scale = (dict(eight.module.named_parameters())[f"{name}.{kind}"] for kind in ("weight", "scale"))
            assert (codes * scale - linear.weight).abs().max() <= scale.max() / 2 * 1.001
            assert codes.abs().amax(1).eq(127).all()


def test_a_row_of_zeros_stays_zeros_in_8_bits():
    codes, scale = quantize_rows(torch.tensor([[0.0, 0.0], [1.0, -0.5]]))
    assert codes.tolist() == [[0, 0], [127, -64]] or codes.tolist() == [[0, 0], [127, -63]]
    assert torch.isfinite(codes * scale).all()
