"""Each architecture's separate steps equal transformers' own forward, generate and processors, in float64."""

import copy

import pytest
import torch
from plain_classes import PLAIN_CLASSES
from tiny_models import (
    ARCHITECTURES,
    EVERYTHING,
    PADS_CLIPS_TOGETHER,
    keep_float64,
    make_prompt,
    noise,
    plain_arguments,
    tiny_folder,
    tiny_model,
)
from torch import Tensor
from transformers import AutoProcessor, WhisperFeatureExtractor

from harken.errors import CheckpointError
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.models import shared_prefix
from harken.models.audio_lm import AudioLM, ModelInput
from harken.models.chat_tokens import ChatTokens
from harken.models.loading import load_model, load_renderer
from harken.models.tiny_checkpoint import WRITERS
from harken.models.whisper_windows import WhisperWindows

WITH_SEVERAL_WINDOWS = ["audioflamingo3", "musicflamingo"]
WITH_WINDOW = [arch for arch in ARCHITECTURES if "omni" not in arch and arch != "voxtral"]
"""Towers that mask what follows a clip in its window. Voxtral's hears it; `test_voxtral.py` has its windows."""
BATCHES = {
    "one clip": [("Which digit?", 0.7)],
    "several clips": [("Which digit?", 0.7), ("Two digits. What is their sum?", 2.33), ("Which comes second?", 1.1)],
    "text only": [("What is 2 + 2?", None), ("Which of these is an instrument and which is not?", None)],
    "mixed": [("Which digit?", 1.1), ("What is 2 + 2?", None), ("And which one comes second?", 0.4)],
}


def inputs_of(model: AudioLM, batch: str) -> list[ModelInput]:
    return [make_prompt(model, text, seconds, seed) for seed, (text, seconds) in enumerate(BATCHES[batch])]


def clip_prompt(model: AudioLM, samples: int) -> ModelInput:
    content = [{"type": "audio"}, {"type": "text", "text": "Which digit?"}]
    return model.render([{"role": "user", "content": content}], noise(samples / 16_000 + 1e-6, samples)[:samples])


@torch.no_grad()
def split_logits(model: AudioLM, inputs: list[ModelInput]) -> list[Tensor]:
    """Logits at every prompt position, [T, V] each. Audio is encoded in one call, the language model runs one prompt at
    a time."""
    logits = []
    for embedded in model.embed(inputs, model.encode_audio(inputs)):
        positions = torch.arange(len(embedded))
        causal = (positions[:, None] >= positions)[None, None]
        logits.append(model.logits(model.hidden(embedded[None], positions[None], causal))[0])
    return logits


@torch.no_grad()
def plain_logits(module, inputs: list[ModelInput]) -> list[Tensor]:
    """The same logits by the class's own forward, from its documented inputs, left-padded to one batch."""
    if module.config.model_type in PADS_CLIPS_TOGETHER and len(inputs) > 1:
        return [logits for prompt in inputs for logits in plain_logits(module, [prompt])]
    arguments = plain_arguments(inputs, module)
    if "input_features" in arguments:
        arguments["input_features"] = arguments["input_features"].to(module.lm_head.weight.dtype)
    position_ids = (arguments["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    rows = module(**arguments, position_ids=positions_of(module, position_ids), use_cache=False).logits
    return [row[-prompt.length :] for row, prompt in zip(rows, inputs, strict=True)]


def positions_of(module, position_ids: Tensor) -> Tensor:
    return position_ids.expand(3, -1, -1) if "omni" in module.config.model_type else position_ids


def largest_gap(actual: list[Tensor], expected: list[Tensor]) -> float:
    assert [tensor.shape for tensor in actual] == [tensor.shape for tensor in expected]
    return max(float((a - b).abs().max()) for a, b in zip(actual, expected, strict=True))


@pytest.mark.core
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("batch", BATCHES)
def test_logits_equal_the_plain_forward(arch, batch):
    model = tiny_model(arch)
    inputs = inputs_of(model, batch)
    assert largest_gap(split_logits(model, inputs), plain_logits(model.module, inputs)) < 1e-9


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_logits_equal_the_plain_forward_for_the_shortest_clip_and_the_next_ones(arch):
    model = tiny_model(arch)
    for samples in (model.min_samples, model.min_samples + 1, model.min_samples + 320, model.min_samples + 641):
        inputs = [clip_prompt(model, samples)]
        assert largest_gap(split_logits(model, inputs), plain_logits(model.module, inputs)) < 1e-9


@pytest.mark.parametrize("arch", WITH_WINDOW)
@pytest.mark.parametrize("missing", [0, 1, 159, 161, 400], ids="{} samples short of the window".format)
def test_logits_equal_the_plain_forward_where_the_clip_fills_the_window(arch, missing):
    """At the window's end there is no room for the padding that the last position otherwise sees."""
    model = tiny_model(arch)
    window = 2 * model.module.config.audio_config.max_source_positions * 160
    inputs = [clip_prompt(model, window - missing)]
    assert largest_gap(split_logits(model, inputs), plain_logits(model.module, inputs)) < 1e-9


@pytest.mark.core
@pytest.mark.parametrize("samples", [96_000 + 321, 2 * 96_000 - 80, 2 * 96_000, 2 * 96_000 + 7_000, 3 * 96_000])
@pytest.mark.parametrize("arch", WITH_SEVERAL_WINDOWS)
def test_a_clip_longer_than_one_window_is_heard_whole_where_the_model_hears_several(arch, samples):
    model = tiny_model(arch)
    assert model.max_samples == 3 * 96_000
    inputs = [clip_prompt(model, 5_000), clip_prompt(model, samples)]
    assert largest_gap(split_logits(model, inputs), plain_logits(model.module, inputs)) < 1e-9


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_clip_is_encoded_alike_alone_and_among_others(arch):
    model = tiny_model(arch)
    inputs = [*inputs_of(model, "several clips"), *inputs_of(model, "text only"), clip_prompt(model, model.min_samples)]
    with torch.no_grad():
        together = model.encode_audio(inputs)
        for prompt, among_others in zip(inputs, together, strict=True):
            (alone,) = model.encode_audio([prompt])
            assert (among_others is None) == (alone is None) == (prompt.features is None)
            if among_others is not None:
                assert among_others.shape == alone.shape
                assert (among_others - alone).abs().max() < 1e-9


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_as_many_features_as_placeholders_at_every_length(arch):
    """`encode_audio` and `embed` raise where the numbers differ. `prompt_length` gives the same without the clip."""
    model = tiny_model(arch, torch.float32)
    lengths = range(model.min_samples, 3 * 16_000 + 1, 641)
    conversation = [{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "Which digit?"}]}]
    previous = 0
    with torch.no_grad():
        for start in range(0, len(lengths), 16):
            inputs = [clip_prompt(model, samples) for samples in lengths[start : start + 16]]
            for samples, prompt, features in zip(lengths[start:], inputs, model.encode_audio(inputs), strict=False):
                places = int((prompt.input_ids == model.module.config.audio_token_id).sum())
                assert features.shape == (places, 128)
                assert model.prompt_length(conversation, samples) == prompt.length
                assert places in ((75,) if arch == "voxtral" else (previous, previous + 1))
                previous = places
    # 3 s at 13 or 25 tokens a second; Voxtral has 12.5 and takes its whole window of 6 s.
    assert previous == (39 if arch == "qwen3_omni_moe" else 75)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_clips_outside_what_the_model_hears_and_places_that_do_not_match_are_refused(arch):
    model = tiny_model(arch)
    for samples in (model.min_samples - 1, model.max_samples + 1):
        with pytest.raises(ValueError, match="outside what the model hears"):
            clip_prompt(model, samples)
    short, long = clip_prompt(model, 8_000), clip_prompt(model, 100_000 if arch == "voxtral" else 16_000)
    swapped = ModelInput(short.input_ids, long.features, short.text)
    with pytest.raises(ValueError, match="audio features for"):
        model.encode_audio([swapped])
    with torch.no_grad():
        audio = model.encode_audio([long])
    with pytest.raises(ValueError, match="audio features for"):
        model.embed([short], audio)
    text = [{"role": "user", "content": [{"type": "text", "text": "Which?"}]}]
    with pytest.raises(ValueError, match="audio places"):
        model.render(text, noise(1, 0))
    text = {"type": "text", "text": f"a{model.tokenizer.eos_token}b"}
    with pytest.raises(ValueError, match="control token"):
        model.render([{"role": "user", "content": [text]}], None)


@pytest.mark.parametrize("arch", WITH_WINDOW)
@pytest.mark.parametrize("samples", [321, 4_000, 16_000, 20_001, 47_999, 96_000])
def test_prompt_and_features_are_those_of_the_models_own_processor(arch, samples):
    model = tiny_model(arch)
    processor = AutoProcessor.from_pretrained(tiny_folder(arch))
    prompt = clip_prompt(model, samples)
    clip = noise(samples / 16_000 + 1e-6, samples)[:samples]
    made = processor(text=[prompt.text], audio=[clip], sampling_rate=16_000, return_tensors="pt")
    rendered = plain_arguments([prompt], model.module)
    assert set(made) == set(rendered)
    assert torch.equal(made["input_ids"], rendered["input_ids"])
    mask_name = next(name for name in made if name.endswith("_mask") and "feature" in name)
    assert torch.equal(made[mask_name].long(), rendered[mask_name])
    frames_read = min(int(rendered[mask_name].sum()) + 2, rendered["input_features"].shape[-1])
    assert torch.equal(made["input_features"][..., :frames_read], rendered["input_features"][..., :frames_read])
    with torch.no_grad():
        made["input_features"] = made["input_features"].double()
        expected = model.module(**made, use_cache=False).logits[0]
    assert largest_gap(split_logits(model, [prompt]), [expected]) < 1e-9


@pytest.mark.core
@pytest.mark.parametrize("arch", WITH_SEVERAL_WINDOWS)
def test_a_last_window_too_short_for_an_audio_token_adds_none(arch):
    """transformers' own Music Flamingo raises an IndexError for such a clip."""
    model = tiny_model(arch)
    content = [{"type": "audio"}, {"type": "text", "text": "Which digit?"}]
    clip = noise(7, 0)
    whole, longer = (model.render([{"role": "user", "content": content}], clip[:n]) for n in (96_000, 96_001))
    assert torch.equal(whole.input_ids, longer.input_ids)
    with torch.no_grad():
        assert largest_gap(model.encode_audio([longer]), model.encode_audio([whole])) == 0


@pytest.mark.core
@pytest.mark.parametrize("arch", WITH_SEVERAL_WINDOWS)
def test_several_windows_are_those_of_the_models_own_processor(arch):
    model = tiny_model(arch)
    processor = AutoProcessor.from_pretrained(tiny_folder(arch))
    samples = 2 * 96_000 + 7_003
    prompt = clip_prompt(model, samples)
    clip = noise(samples / 16_000 + 1e-6, samples)[:samples]
    made = processor(text=[prompt.text], audio=[clip], sampling_rate=16_000, return_tensors="pt")
    assert torch.equal(made["input_ids"][0], prompt.input_ids)
    with torch.no_grad():
        made["input_features"] = made["input_features"].double()
        expected = model.module(**made, use_cache=False).logits[0]
    assert largest_gap(split_logits(model, [prompt]), [expected]) < 1e-9


@pytest.mark.core
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_greedy_rollout_equals_generate(arch):
    model = tiny_model(arch)
    inputs = inputs_of(model, "mixed")
    with torch.no_grad():
        embedded = model.embed(inputs, model.encode_audio(inputs))
    completions = rollout(model, embedded, 1, Sampling(temperature=0, max_completion_tokens=12), None)
    for prompt, tokens, length in zip(inputs, completions.tokens, completions.lengths, strict=True):
        arguments = plain_arguments([prompt], model.module)
        if "input_features" in arguments:
            arguments["input_features"] = arguments["input_features"].double()
        expected = model.module.generate(
            **arguments, max_new_tokens=12, do_sample=False, eos_token_id=list(model.eos_token_ids), pad_token_id=0
        )
        assert tokens[:length].tolist() == expected[0, prompt.length :].tolist()


@pytest.mark.core
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_what_is_saved_loads_in_plain_transformers_with_equal_logits(arch, tmp_path):
    model = tiny_model(arch)
    model.save(tmp_path)
    plain = PLAIN_CLASSES[arch].from_pretrained(tmp_path, dtype=torch.float64)
    keep_float64(plain)
    inputs = inputs_of(model, "mixed")
    assert largest_gap(split_logits(model, inputs), plain_logits(plain.eval(), inputs)) < 1e-9

    again = load_model(str(tmp_path), dtype=torch.float64, device="cpu")
    keep_float64(again.module)
    assert again.eos_token_ids == model.eos_token_ids
    for prompt, original in zip(inputs_of(again, "mixed"), inputs, strict=True):
        assert torch.equal(prompt.input_ids, original.input_ids)
    assert largest_gap(split_logits(again, inputs), split_logits(model, inputs)) < 1e-12
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in tiny_folder(arch).iterdir()}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_renderer_without_weights_renders_the_same(arch):
    model, renderer = tiny_model(arch), load_renderer(str(tiny_folder(arch)))
    assert renderer.module.lm_head.weight.is_meta
    assert (renderer.min_samples, renderer.max_samples) == (model.min_samples, model.max_samples)
    for prompt, other in zip(inputs_of(renderer, "mixed"), inputs_of(model, "mixed"), strict=True):
        assert torch.equal(prompt.input_ids, other.input_ids)
        assert (prompt.features is None) == (other.features is None)
        assert prompt.features is None or torch.equal(prompt.features, other.features)
    assert torch.equal(renderer.encode_answer("one"), model.encode_answer("one"))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_attention_is_set_on_the_language_model_and_an_answer_ends_its_turn(arch):
    model = tiny_model(arch)
    language_model = getattr(model.module.model, "language_model", model.module.model)
    assert language_model.config._attn_implementation == shared_prefix.NAME
    assert model.decode(model.encode_answer("one two").tolist()) == "one two"
    end = int(model.encode_answer("one")[-1])
    assert end == model.eos_token_ids[0]
    assert end == 2  # <|im_end|>, </s>


@pytest.mark.parametrize("arch", WITH_WINDOW)
def test_the_end_of_turn_is_the_chat_templates_and_not_the_tokenizers(arch):
    """Some published tokenizers name the end of a document as their eos_token."""
    processor = AutoProcessor.from_pretrained(tiny_folder(arch))
    module = tiny_model(arch).module
    processor.tokenizer.eos_token = "<|endoftext|>"
    chat = ChatTokens(processor.tokenizer, processor.audio_token, module.config.audio_token_id)
    ids = processor.tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    assert chat.eos_token_ids(module) == tuple(ids)
    with pytest.raises(ValueError, match="control token"):
        chat.render_text([{"role": "user", "content": "a<|im_end|>b"}], 0)


@pytest.mark.parametrize("arch", WITH_WINDOW)
def test_a_feature_extractor_or_tokenizer_of_another_checkpoint_is_refused(arch):
    model = tiny_model(arch)
    with pytest.raises(CheckpointError, match="of different checkpoints"):
        WhisperWindows(model.processor.feature_extractor, 1500)
    with pytest.raises(CheckpointError, match="of different checkpoints"):
        ChatTokens(model.processor.tokenizer, model.processor.audio_token, 77)


@pytest.mark.parametrize("arch", WITH_WINDOW)
def test_features_leave_most_padding_out_and_what_is_left_out_changes_nothing(arch):
    """Other values in the padded frames that the tower masks, from two frames past the clip, change no bit of a
    feature."""
    model = tiny_model(arch)
    prompt = clip_prompt(model, 20_001)
    assert prompt.features.shape == (128, 126 + 2)
    with torch.no_grad():
        (expected,) = model.encode_audio([prompt])
        windows = model._windows.windows

        def with_other_padding(clips):
            mel, mask = windows(clips)
            mel[..., prompt.features.shape[1] :] = 7.0
            return mel, mask

        model._windows.windows = with_other_padding
        assert torch.equal(model.encode_audio([prompt])[0], expected)
        model._windows.windows = lambda clips: (windows(clips)[0].flip(1), windows(clips)[1])
        assert not torch.equal(model.encode_audio([prompt])[0], expected)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_part_hears_and_fixed_positions_stay_fixed(arch):
    model = tiny_model(arch)
    model.set_trainable(**EVERYTHING)
    frozen = [name for name, parameter in model.module.named_parameters() if not parameter.requires_grad]
    assert all("embed_positions" in name or "audio_bos_eos_token" in name for name in frozen)
    inputs = [clip_prompt(model, 9_000)]
    loud = copy.deepcopy(inputs[0])
    loud = ModelInput(loud.input_ids, loud.features + 0.5, loud.text)
    assert largest_gap(split_logits(model, inputs), split_logits(model, [loud])) > 1e-3
    (audio,) = model.encode_audio(inputs)
    assert audio.requires_grad
    with torch.no_grad():
        assert not model.encode_audio(inputs)[0].requires_grad
    model.set_trainable(audio_tower=False, projector=False, language_model=True)
    assert not model.encode_audio(inputs)[0].requires_grad


def test_every_tiny_architecture_is_tested():
    assert set(WRITERS) == set(ARCHITECTURES) == set(PLAIN_CLASSES)
    for arch in ARCHITECTURES:
        assert 0.5e6 < sum(parameter.numel() for parameter in tiny_model(arch).module.parameters()) < 2e6


@pytest.mark.parametrize("samples", [321, 1_000, 16_000, 16_001, 20_801])
def test_omni_features_are_those_its_own_processor_makes(samples):
    model = tiny_model("qwen2_5_omni")
    waveform = noise(samples / 16_000, seed=samples)[:samples]
    features = model.render([{"role": "user", "content": [{"type": "audio"}]}], waveform).features
    # The processor pads every clip to the extractor's 300 s and keeps the frames of its attention mask.
    whole = WhisperFeatureExtractor(feature_size=128, chunk_length=300)(
        [waveform], sampling_rate=16_000, padding="max_length", return_attention_mask=True, return_tensors="pt"
    )
    expected = whole["input_features"][0, :, : int(whole["attention_mask"].sum())]
    assert features.shape == expected.shape
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_hidden_states_that_are_read_are_the_same_where_the_others_are_not_computed(arch):
    """This holds also where a place is read twice: its gradient counts twice, through the last block as well."""
    model = tiny_model(arch, torch.float64)
    model.set_trainable(audio_tower=False, projector=False, language_model=True)
    tokens = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])
    positions, read = torch.arange(4).expand(2, -1), torch.tensor([3, 3, 6])
    passes = []
    for places in (read, None):
        for parameter in model.module.parameters():
            parameter.grad = None
        hidden = model.hidden(model.embed_tokens(tokens), positions, None, read=places).flatten(0, 1)[read]
        hidden.pow(2).sum().backward()
        gradients = {n: p.grad for n, p in model.module.named_parameters() if p.grad is not None}
        passes.append((hidden.detach(), gradients))
    (chosen, chosen_gradients), (whole, whole_gradients) = passes
    torch.testing.assert_close(chosen, whole)
    assert chosen_gradients.keys() == whole_gradients.keys()
    assert any(".mlp." in name for name in chosen_gradients)
    for name, gradient in chosen_gradients.items():
        torch.testing.assert_close(gradient, whole_gradients[name], msg=name)
