"""The audio tower runs over all clips at once, with transformers' own embeddings and gradients."""

from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F
from prompt_batches import relative_errors
from tiny_models import ARCHITECTURES, EVERYTHING, adapted, gradients, make_prompt, plain_arguments, tiny_model

from counting import Counter
from harken.models.audio_lm import AudioLM, ModelInput
from harken.models.policy import enable_gradient_checkpointing, mixed_precision

CLIPS = {
    "equal chunks": [4.0, 2.0, 4.0],
    "ragged": [0.7, 4.4, 2.0, 0.06],
    "shorter than a chunk": [0.3, 1.1],
    "one": [5.0],
}
LAYERS = 2


def inputs_of(model: AudioLM, clips: str) -> list[ModelInput]:
    return [make_prompt(model, "Which digit?", seconds, seed) for seed, seconds in enumerate(CLIPS[clips])]


def own_embeddings(model: AudioLM, inputs: list[ModelInput]) -> list[torch.Tensor]:
    """transformers' own audio features, a clip at a time: its placeholders' embeddings in the plain forward pass."""
    embeddings = []

    def keep(module, arguments, named):
        embeddings.append(named["inputs_embeds"])

    language_model = model.parts["language_model"]
    hook = language_model.register_forward_pre_hook(keep, with_kwargs=True)
    for prompt in inputs:
        arguments = plain_arguments([prompt], model.module)
        arguments["input_features"] = arguments["input_features"].to(model.module.lm_head.weight.dtype)
        model.module(**arguments, use_cache=False)
    hook.remove()
    places = [prompt.input_ids == model.module.config.audio_token_id for prompt in inputs]
    return [embedded[0, place] for embedded, place in zip(embeddings, places, strict=True)]


def embeddings_and_gradients(model: AudioLM, encode, inputs):
    model.module.zero_grad()
    pieces = encode(inputs)
    weights = [torch.linspace(-1, 1, piece.numel(), dtype=piece.dtype).view_as(piece) for piece in pieces]
    sum((piece * weight).sum() for piece, weight in zip(pieces, weights, strict=True)).backward()
    return torch.cat(pieces).detach(), gradients(model)


def assert_tower_is_transformers_own(arch: str, clips: str, checkpointing: bool) -> None:
    model = adapted(arch.split()[0], EVERYTHING) if "adapters" in arch else tiny_model(arch)
    if "adapters" not in arch:
        model.set_trainable(**EVERYTHING)
    if checkpointing:
        enable_gradient_checkpointing(model.module)
    model.module.train()
    inputs = inputs_of(model, clips)
    audio, own = embeddings_and_gradients(model, model.encode_audio, inputs)
    expected, plain = embeddings_and_gradients(model, lambda prompts: own_embeddings(model, prompts), inputs)
    assert (audio - expected).abs().max() < 1e-9
    errors = relative_errors(own, plain)
    assert max(errors.values()) < 1e-8, max(errors, key=errors.__getitem__)
    tower = [name for name in own if "audio_tower" in name and "k_proj.bias" not in name]
    assert len(tower) > 10
    assert all(own[name].norm() > 0 for name in tower)


@pytest.mark.core
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_embeddings_and_gradients_are_those_of_transformers_own_tower(arch):
    assert_tower_is_transformers_own(arch, "ragged", checkpointing=True)


@pytest.mark.slow
@pytest.mark.parametrize("arch", [*ARCHITECTURES, "qwen2_5_omni adapters", "qwen2_audio adapters"])
@pytest.mark.parametrize("clips", CLIPS)
@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointing"])
def test_embeddings_and_gradients_are_transformers_own_for_all_lengths_with_adapters_and_checkpointing(
    arch, clips, checkpointing
):
    assert_tower_is_transformers_own(arch, clips, checkpointing)


IN_FLOAT32 = [(arch, "float32", 1e-5) for arch in ARCHITECTURES]
IN_BFLOAT16 = [(arch, "bf16_mixed", 0.1) for arch in ("qwen2_5_omni", "audioflamingo3", "musicflamingo", "voxtral")]
"""transformers' own merging of audio and text in Qwen2-Audio fails under autocast."""


@pytest.mark.slow
@pytest.mark.parametrize(("arch", "precision", "bound"), [*IN_FLOAT32, *IN_BFLOAT16])
@torch.no_grad()
def test_embeddings_are_those_of_transformers_own_tower_in_other_precisions(arch, precision, bound):
    model = tiny_model(arch, torch.float32)
    inputs = inputs_of(model, "ragged")
    with mixed_precision(model, precision):
        audio, expected = (
            torch.cat(pieces).float() for pieces in (model.encode_audio(inputs), own_embeddings(model, inputs))
        )
    assert (audio - expected).abs().max() < bound * expected.abs().max()


@pytest.mark.parametrize("arch", ARCHITECTURES)
@torch.no_grad()
def test_attention_is_called_once_a_layer_and_no_length_is_read_from_the_device(arch):
    model = tiny_model(arch, torch.float32)
    inputs = inputs_of(model, "ragged")
    with patch.object(F, "scaled_dot_product_attention", wraps=F.scaled_dot_product_attention) as attention:
        model.encode_audio(inputs)
    assert attention.call_count == LAYERS
    with Counter() as counter:
        model.encode_audio(inputs)
    assert counter.reads.count("tolist") == 0


@torch.no_grad()
def test_transformers_calls_attention_for_each_chunk_and_reads_lengths_three_times_a_layer():
    """What the one pass replaces: 10 s are 5 chunks. With the 32 layers of the 7B model these are 160 calls a clip."""
    model = tiny_model("qwen2_5_omni", torch.float32)
    prompt = make_prompt(model, "Which digit?", 10.0)
    tower, lengths = model.parts["audio_tower"], torch.tensor([prompt.features.shape[1]])
    with patch.object(F, "scaled_dot_product_attention", wraps=F.scaled_dot_product_attention) as attention:
        expected = tower(prompt.features, feature_lens=lengths).last_hidden_state
    with Counter() as counter:
        tower(prompt.features, feature_lens=lengths)
    assert attention.call_count == 5 * LAYERS
    assert counter.reads.count("tolist") >= 3 * LAYERS
    (audio,) = model.encode_audio([prompt])
    assert (audio - expected).abs().max() < 1e-5


@pytest.mark.parametrize("arch", ["qwen2_audio", "audioflamingo3", "musicflamingo"])
def test_windows_are_no_longer_than_their_longest_clip_needs(arch):
    model = tiny_model(arch)
    inputs = inputs_of(model, "ragged")
    windows, frames = model._windows.windows([prompt.features for prompt in inputs])
    assert frames == [70, 440, 200, 6]
    assert windows.shape == (4, 128, 442)
