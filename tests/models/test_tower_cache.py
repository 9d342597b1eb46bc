"""What a frozen tower gives is kept on disk: equal to the tower's output, of one content and one set of weights,
complete, and before the projector, which may train."""

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from small_runs import metric_rows, quiet_console, small_recipe
from tiny_models import ARCHITECTURES, EVERYTHING, LANGUAGE_MODEL, make_prompt, tiny_folder, tiny_model

from harken.config import Recipe
from harken.data.demo_set import write_demo_set
from harken.errors import ConfigError, DataError
from harken.grpo.loop import train
from harken.models.tower_cache import FolderOfTowerStates
from harken.training.open_session import refuse_contradictions
from harken.training.sft import sft

PROJECTOR = {"audio_tower": False, "projector": True, "language_model": True}


def frozen(arch="qwen2_5_omni", parts=LANGUAGE_MODEL, dtype=torch.float32):
    model = tiny_model(arch, dtype)
    model.set_trainable(**parts)
    return model


def cached(model, folder):
    model.use_tower_cache(FolderOfTowerStates(model, folder))
    return model


def inputs_of(model):
    return [
        make_prompt(model, "Which digit?", 0.7, 1),
        make_prompt(model, "What is 2 + 2?", None),
        make_prompt(model, "Two?", 1.3, 2),
    ]


def counting(model):
    """A list to which the model adds each clip that its tower encodes from now on."""
    clips, encode = [], model._tower

    def tower(features):
        clips.extend(features)
        return encode(features)

    model._tower = tower
    return clips


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_each_clip_is_encoded_once_as_the_tower_does(arch, tmp_path):
    model = frozen(arch)
    inputs = inputs_of(model)
    expected = [model.encode_audio([prompt])[0] for prompt in inputs]
    clips = counting(cached(model, tmp_path))
    for _ in range(2):
        encoded = model.encode_audio(inputs)
        assert encoded[1] is None
        assert torch.equal(encoded[0], expected[0])
        assert torch.equal(encoded[2], expected[2])
    assert len(clips) == 2
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".safetensors"] * 2


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_projector_that_trains_gets_the_gradients_that_it_gets_without_a_cache(arch, tmp_path):
    gradients = []
    for folder in (None, tmp_path, tmp_path):
        model = frozen(arch, PROJECTOR, torch.float64)
        if folder is not None:
            cached(model, folder)
        first, _, second = model.encode_audio(inputs_of(model))
        (first.square().sum() + second.sum()).backward()
        gradients.append([parameter.grad for parameter in model.parts["projector"].parameters()])
    for plain, written, read in zip(*gradients, strict=True):
        assert torch.equal(written, read)
        assert torch.allclose(plain, written, rtol=1e-9, atol=1e-9)


def test_another_question_about_the_clip_finds_it_and_another_clip_does_not(tmp_path):
    model = cached(frozen(), tmp_path)
    clips = counting(model)
    (first,) = model.encode_audio([make_prompt(model, "Which digit?", 0.7, 1)])
    (again,) = model.encode_audio([make_prompt(model, "How many?", 0.7, 1)])
    assert torch.equal(first, again)
    assert len(clips) == 1
    model.encode_audio([make_prompt(model, "Which digit?", 0.7, 2)])
    assert len(clips) == 2


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_other_weights_of_the_tower_and_other_arithmetic_find_nothing_and_another_projector_does(arch, tmp_path):
    model = frozen(arch)
    inputs = inputs_of(model)[:1]
    before = cached(model, tmp_path).encode_audio(inputs)[0]
    with torch.autocast("cpu", torch.bfloat16):
        model.encode_audio(inputs)
    assert len(list(tmp_path.iterdir())) == 2
    for part, files in (("projector", 2), ("audio_tower", 3)):
        model = frozen(arch)
        with torch.no_grad():
            next(model.parts[part].parameters()).mul_(1.5)
        expected = model.encode_audio(inputs)[0]
        after = cached(model, tmp_path).encode_audio(inputs)[0]
        assert torch.equal(after, expected)
        assert not torch.equal(before, after)
        assert len(list(tmp_path.iterdir())) == files


def test_a_file_that_is_damaged_or_of_something_else_is_an_error_that_names_it(tmp_path):
    model = cached(frozen(), tmp_path)
    inputs = inputs_of(model)[:1]
    model.encode_audio(inputs)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=rf"{file.name}: damaged .* remove it"):
        model.encode_audio(inputs)
    save_file({"else": torch.zeros(1)}, file)
    with pytest.raises(DataError, match="damaged"):
        model.encode_audio(inputs)


def test_a_write_that_fails_leaves_no_file(tmp_path, monkeypatch):
    model = cached(frozen(), tmp_path)

    def full(tensors, file):
        file.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("harken.models.tower_cache.save_file", full)
    with pytest.raises(OSError, match="no space left"):
        model.encode_audio(inputs_of(model)[:1])
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    model.encode_audio(inputs_of(model)[:1])
    (file,) = tmp_path.iterdir()
    assert list(load_file(file)) == ["audio"]


def test_a_tower_that_trains_is_refused_here_and_in_a_recipe(tmp_path):
    model = frozen(parts=EVERYTHING)
    with pytest.raises(ValueError, match="the audio tower trains"):
        FolderOfTowerStates(model, tmp_path)
    values = {"name": "n", "data": {"train": [{"file": "t.json"}], "encoded_cache": "kept"}}
    with pytest.raises(ValidationError, match=r"encoded_cache.*set model.train_audio_tower: false"):
        Recipe.model_validate({**values, "model": {"path": "m"}})
    Recipe.model_validate({**values, "model": {"path": "m", "train_audio_tower": False}})


@pytest.mark.parametrize("loop", [train, sft])
def test_runs_whose_projector_trains_fill_the_folder_and_read_it(loop, tmp_path):
    """The second run finds every clip, so its tower is never asked, and it ends as the first one."""
    write_demo_set(tmp_path, seed=0, n_train=8, n_test=4)
    recipe = small_recipe(tiny_folder("qwen2_audio"), tmp_path / "train.json")
    changes = {"data": recipe.data.model_copy(update={"encoded_cache": tmp_path / "kept", "dev_share": 0.0})}
    changes["model"] = recipe.model.model_copy(update={"train_audio_tower": False})
    changes["grpo"] = recipe.grpo.model_copy(update={"steps": 2})
    changes["sft"] = recipe.sft.model_copy(update={"steps": 2})
    changes["logging"] = recipe.logging.model_copy(update={"evaluate_every": None})
    recipe = recipe.model_copy(update=changes)
    loop(recipe, tmp_path / "first", quiet_console())
    names = sorted((tmp_path / "kept").iterdir())
    times = [file.stat().st_mtime_ns for file in names]
    loop(recipe, tmp_path / "second", quiet_console())
    assert [file.stat().st_mtime_ns for file in sorted((tmp_path / "kept").iterdir())] == times
    assert len(names) >= 2
    assert metric_rows(tmp_path / "first") == metric_rows(tmp_path / "second")


def test_on_several_ranks_no_rank_may_miss_another_in_the_tower(tmp_path):
    parts = {"path": "m", "train_audio_tower": False}
    data = {"train": [{"file": "t.json"}], "encoded_cache": "kept"}
    trains = Recipe.model_validate({"name": "n", "data": data, "model": parts})
    frozen_projector = Recipe.model_validate({"name": "n", "data": data, "model": {**parts, "train_projector": False}})
    with pytest.raises(ConfigError, match=r"data.encoded_cache on several ranks: set model.train_projector: false"):
        refuse_contradictions(trains, trains.grpo, 2)
    with pytest.raises(ConfigError, match=r"data.encoded_cache: harken sft takes it on one rank alone"):
        refuse_contradictions(frozen_projector, frozen_projector.sft, 2)


def test_kept_prompts_and_checkpointing_are_a_contradiction():
    values = {"name": "n", "data": {"train": [{"file": "t.json"}]}, "grpo": {"policy_pass": "continued"}}
    Recipe.model_validate({**values, "model": {"path": "m"}})
    with pytest.raises(ValidationError, match=r"policy_pass: continued keeps what model.gradient_checkpointing drops"):
        Recipe.model_validate({**values, "model": {"path": "m", "gradient_checkpointing": True}})
