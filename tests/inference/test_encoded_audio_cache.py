"""Encoded clips on disk equal the tower's output, belong to one content and one set of weights, and are complete."""

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from tiny_models import ARCHITECTURES, EVERYTHING, LANGUAGE_MODEL, make_prompt, tiny_model

from harken.config import Recipe
from harken.errors import DataError
from harken.inference.encoded_audio_cache import EncodedAudioCache


def frozen(arch="qwen2_5_omni"):
    model = tiny_model(arch, torch.float32)
    model.set_trainable(**LANGUAGE_MODEL)
    return model


def inputs_of(model):
    return [
        make_prompt(model, "Which digit?", 0.7, 1),
        make_prompt(model, "What is 2 + 2?", None),
        make_prompt(model, "Two?", 1.3, 2),
    ]


def counting(model):
    """A list to which the model adds each prompt that it encodes from now on."""
    clips, encode = [], model.encode_audio

    def encode_audio(inputs):
        clips.extend(inputs)
        return encode(inputs)

    model.encode_audio = encode_audio
    return clips


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_each_clip_is_encoded_once_as_the_tower_does(arch, tmp_path):
    model = frozen(arch)
    inputs = inputs_of(model)
    expected = [model.encode_audio([prompt])[0] for prompt in inputs]
    clips = counting(model)
    for _ in range(2):
        encoded = EncodedAudioCache(model, tmp_path)(inputs)
        assert encoded[1] is None
        assert torch.equal(encoded[0], expected[0])
        assert torch.equal(encoded[2], expected[2])
    assert len(clips) == 2
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".safetensors"] * 2


def test_another_question_about_the_clip_finds_it_and_another_clip_does_not(tmp_path):
    model = frozen()
    clips = counting(model)
    encoded = EncodedAudioCache(model, tmp_path)
    (first,) = encoded([make_prompt(model, "Which digit?", 0.7, 1)])
    (again,) = encoded([make_prompt(model, "How many?", 0.7, 1)])
    assert torch.equal(first, again)
    assert len(clips) == 1
    encoded([make_prompt(model, "Which digit?", 0.7, 2)])
    assert len(clips) == 2


@pytest.mark.parametrize("part", ["audio_tower", "projector"])
def test_other_weights_and_other_arithmetic_find_nothing(part, tmp_path):
    model = frozen()
    inputs = inputs_of(model)[:1]
    (before,) = EncodedAudioCache(model, tmp_path)(inputs)
    with torch.autocast("cpu", torch.bfloat16):
        EncodedAudioCache(model, tmp_path)(inputs)
    assert len(list(tmp_path.iterdir())) == 2
    with torch.no_grad():
        next(model.parts[part].parameters()).mul_(1.5)
    (after,) = EncodedAudioCache(model, tmp_path)(inputs)
    assert not torch.equal(before, after)
    assert torch.equal(after, model.encode_audio(inputs)[0])


def test_a_file_that_is_damaged_or_of_something_else_is_an_error_that_names_it(tmp_path):
    model = frozen()
    inputs = inputs_of(model)[:1]
    EncodedAudioCache(model, tmp_path)(inputs)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=rf"{file.name}: damaged .* remove it"):
        EncodedAudioCache(model, tmp_path)(inputs)
    save_file({"else": torch.zeros(1)}, file)
    with pytest.raises(DataError, match="damaged"):
        EncodedAudioCache(model, tmp_path)(inputs)


def test_a_write_that_fails_leaves_no_file(tmp_path, monkeypatch):
    model = frozen()

    def full(tensors, file):
        file.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("harken.inference.encoded_audio_cache.save_file", full)
    with pytest.raises(OSError, match="no space left"):
        EncodedAudioCache(model, tmp_path)(inputs_of(model)[:1])
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    EncodedAudioCache(model, tmp_path)(inputs_of(model)[:1])
    (file,) = tmp_path.iterdir()
    assert list(load_file(file)) == ["audio"]


def test_a_tower_that_trains_is_refused_here_and_in_a_recipe(tmp_path):
    model = frozen()
    model.set_trainable(**EVERYTHING)
    with pytest.raises(ValueError, match="the audio tower or the projector trains"):
        EncodedAudioCache(model, tmp_path)
    values = {"name": "n", "data": {"train": [{"file": "t.json"}], "encoded_cache": "kept"}}
    with pytest.raises(ValidationError, match=r"encoded_cache.*set model.train_projector: false"):
        Recipe.model_validate({**values, "model": {"path": "m", "train_audio_tower": False}})
    frozen_parts = {"train_audio_tower": False, "train_projector": False}
    Recipe.model_validate({**values, "model": {"path": "m", **frozen_parts}})


def test_kept_prompts_and_checkpointing_are_a_contradiction():
    values = {"name": "n", "data": {"train": [{"file": "t.json"}]}, "grpo": {"policy_pass": "continued"}}
    Recipe.model_validate({**values, "model": {"path": "m"}})
    with pytest.raises(ValidationError, match=r"policy_pass: continued keeps what model.gradient_checkpointing drops"):
        Recipe.model_validate({**values, "model": {"path": "m", "gradient_checkpointing": True}})
