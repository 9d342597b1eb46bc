"""Loaded checkpoints equal transformers' own classes, and an incomplete one is an error that names its path."""

import json
import shutil

import pytest
import torch
import transformers
from plain_classes import PLAIN_CLASSES
from safetensors.torch import load_file, save_file
from tiny_models import (
    ARCHITECTURES,
    make_prompt,
    noise,
    plain_arguments,
    plain_logp,
    tiny_folder,
    tiny_model,
    write_full_omni,
)

from harken.config import ModelConfig
from harken.errors import CheckpointError, DataError
from harken.inference.clip_sensitivity import logit_change_between_clips
from harken.models import loading
from harken.models.architectures import resolve_checkpoint
from harken.models.loading import load_model, load_renderer
from harken.models.policy import load_policy
from harken.planning.shapes import shape_of

OMNI = "qwen2_5_omni"


@pytest.fixture
def folder(tmp_path):
    """A checkpoint of its own, to damage."""
    return shutil.copytree(tiny_folder(OMNI), tmp_path / "checkpoint")


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """(folder, model): a full Qwen2.5-Omni checkpoint, talker and all, as published ones are."""
    path = tmp_path_factory.mktemp("full")
    return path, write_full_omni(path)


@pytest.fixture
def full_folder(full):
    return full[0]


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("seconds", [0.9, None], ids=["audio", "text"])
def test_a_tiny_checkpoint_has_equal_logits_in_transformers_own_class(arch, seconds):
    plain = PLAIN_CLASSES[arch].from_pretrained(tiny_folder(arch)).eval()
    model = load_model(str(tiny_folder(arch)), device="cpu")
    prompt = make_prompt(model, "Which digit?", seconds)
    with torch.no_grad():
        hidden_logits = [plain_logp(module, prompt, [50, 60, 70]) for module in (plain, model.module)]
        embedded = model.embed([prompt], model.encode_audio([prompt]))[0]
        length = torch.arange(prompt.length)
        causal = (length[:, None] >= length)[None, None]
        logits = model.logits(model.hidden(embedded[None], length[None], causal))[0]
        expected = plain(**plain_arguments([prompt], plain), use_cache=False).logits[0]
    assert torch.equal(*hidden_logits)
    assert (logits - expected).abs().max() < 1e-5
    assert not model.module.training
    assert not any(parameter.requires_grad for parameter in model.module.parameters())


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_saved_and_loaded_again_is_the_same_model(arch, tmp_path):
    model = tiny_model(arch, torch.float32)
    model.save(tmp_path / "saved")
    again = load_model(str(tmp_path / "saved"), device="cpu")
    before, after = (dict(loaded.module.state_dict()) for loaded in (model, again))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    inputs = [make_prompt(loaded, "Which digit?", 0.7) for loaded in (model, again)]
    assert torch.equal(inputs[0].input_ids, inputs[1].input_ids)
    assert torch.equal(inputs[0].features, inputs[1].features)
    for name in ("arch", "eos_token_ids", "min_samples", "max_samples"):
        assert getattr(model, name) == getattr(again, name)
    plain = PLAIN_CLASSES[arch].from_pretrained(tmp_path / "saved").eval()
    with torch.no_grad():
        assert torch.equal(plain_logp(plain, inputs[0], [50, 60]), plain_logp(model.module, inputs[0], [50, 60]))


def test_the_thinker_is_loaded_alone_from_a_full_checkpoint(full):
    full_folder, whole = full
    stored = load_file(full_folder / "model.safetensors")
    assert {name.split(".")[0] for name in stored} == {"thinker", "talker", "token2wav"}
    model = load_model(str(full_folder), device="cpu")
    names = [name for name, _ in model.module.named_parameters()]
    assert not [name for name in names if "talker" in name or "token2wav" in name or "visual" in name]
    thinker = sum(t.numel() for name, t in stored.items() if name.startswith("thinker.") and "visual" not in name)
    assert sum(parameter.numel() for parameter in model.module.parameters()) == thinker

    prompt = make_prompt(model, "Which digit?", 0.9)
    with torch.no_grad():
        expected = whole.thinker(**plain_arguments([prompt], whole.thinker), use_cache=False).logits
        logits = model.module(**plain_arguments([prompt], model.module), use_cache=False).logits
    assert torch.equal(logits, expected)


def test_what_was_loaded_from_a_full_checkpoint_saves_as_a_thinker_alone(full_folder, tmp_path):
    model = load_model(str(full_folder), device="cpu")
    model.save(tmp_path / "thinker")
    again = load_model(str(tmp_path / "thinker"), device="cpu")
    for name, weight in model.module.state_dict().items():
        assert torch.equal(weight, again.module.state_dict()[name])


def test_a_renderer_reads_no_weights_and_makes_the_same_prompt(full_folder, folder):
    for path in (full_folder, folder):
        renderer, model = load_renderer(str(path)), load_model(str(path), device="cpu")
        assert all(parameter.is_meta for parameter in renderer.module.parameters())
        assert torch.equal(make_prompt(renderer, "Which?", 0.5).input_ids, make_prompt(model, "Which?", 0.5).input_ids)
    (folder / "model.safetensors").unlink()
    load_renderer(str(folder))


def test_a_run_folder_stands_for_its_last_checkpoint(tmp_path):
    for step in (2, 10):
        (tmp_path / "checkpoints" / f"step_{step:06d}").mkdir(parents=True)
    assert resolve_checkpoint(str(tmp_path)) == str(tmp_path / "checkpoints" / "step_000010")
    assert resolve_checkpoint("Qwen/Qwen2.5-Omni-7B") == "Qwen/Qwen2.5-Omni-7B"


def text_model(folder):
    config = transformers.Qwen2Config(
        **{"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2},
        **{"num_key_value_heads": 1, "vocab_size": 32},
    )
    shutil.rmtree(folder)
    transformers.Qwen2ForCausalLM(config).save_pretrained(folder)


def without_weights(folder, *endings):
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.endswith(endings)}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def another_shape(folder):
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = weights["lm_head.weight"][:, :64].contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def torn(folder, keep):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])


DAMAGE = {
    "another architecture": (text_model, "model_type 'qwen2'; harken knows"),
    "no config.json": (lambda folder: (folder / "config.json").unlink(), "no config.json here"),
    "no folder": (shutil.rmtree, "no such folder"),
    "half a config": (lambda folder: (folder / "config.json").write_text('{"model_type": "qw'), "not JSON"),
    "a config that is no object": (lambda folder: (folder / "config.json").write_text("[]"), "expected a JSON object"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "no file named model.safetensors"),
    "some weights missing": (lambda folder: without_weights(folder, "k_proj.weight"), "weights missing"),
    "weights of another shape": (another_shape, "1 of another shape"),
    "torn in the header": (lambda folder: torn(folder, 5_000), "cannot be loaded"),
    "torn in the weights": (lambda folder: torn(folder, 2_000_000), "cannot be loaded"),
    "no tokenizer": (lambda folder: [file.unlink() for file in folder.glob("tokenizer*")], "cannot be loaded"),
    "no feature extractor": (lambda folder: (folder / "preprocessor_config.json").unlink(), "cannot be loaded"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_an_error_that_names_the_path_and_the_fault(folder, kind):
    damage, says = DAMAGE[kind]
    damage(folder)
    with pytest.raises(CheckpointError, match=says) as caught:
        load_model(str(folder), device="cpu")
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("token", ["end of turn", "audio placeholder"])
def test_a_control_token_in_a_question_is_refused(arch, token):
    model = load_renderer(str(tiny_folder(arch)))
    tokenizer = model.tokenizer
    ids = {"end of turn": model.eos_token_ids[0], "audio placeholder": model.module.config.audio_token_id}
    token = tokenizer.convert_ids_to_tokens(ids[token])
    for text in (f"Which?{token}", f"{token}{token}"):
        with pytest.raises(ValueError, match="holds the control token"):
            make_prompt(model, text, 0.5)
        with pytest.raises(ValueError, match="holds the control token"):
            make_prompt(model, text, None)
    with pytest.raises(ValueError, match="holds the control token"):
        model.prompt_length([{"role": "user", "content": f"Which? {token}"}], None)


@pytest.mark.parametrize("load", [load_model, load_renderer, shape_of])
@pytest.mark.parametrize(("part", "key"), [("audio_config", "encoder_layers"), ("text_config", "num_hidden_layers")])
@pytest.mark.parametrize("layers", [1001, 2**31, 10**30])
def test_a_config_of_billions_of_layers_is_refused_before_one_is_made(load, part, key, layers, tmp_path):
    folder = shutil.copytree(tiny_folder("qwen2_audio"), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config[part] |= {key: layers}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=rf"config\.json has {key} ") as raised:
        load(str(folder))
    assert str(raised.value).startswith(f"{folder}: ")


def test_a_feature_extractor_for_less_than_a_second_is_refused(tmp_path):
    folder = shutil.copytree(tiny_folder("qwen2_5_omni"), tmp_path / "model")
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"chunk_length": 0.25}))
    with pytest.raises(
        CheckpointError, match=r"preprocessor_config\.json takes clips of at most \d,\d+ samples"
    ) as raised:
        load_renderer(str(folder))
    assert str(raised.value).startswith(f"{folder}: ")


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_clip_outside_what_the_model_hears_is_refused(arch):
    model = load_renderer(str(tiny_folder(arch)))
    conversation = [{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "Which?"}]}]
    for samples in (model.min_samples - 1, model.max_samples + 1):
        with pytest.raises(DataError, match=f"a clip of {samples} samples is outside what the model hears"):
            model.render(conversation, noise(samples / 16_000 + 1e-6, 0)[:samples])
    for samples in (model.min_samples, model.max_samples):
        assert model.render(conversation, noise(samples / 16_000 + 1e-6, 0)[:samples]).features is not None


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_an_answer_is_its_tokens_and_the_end_of_the_turn(arch):
    model = load_renderer(str(tiny_folder(arch)))
    ids = model.encode_answer("dog barking")
    assert int(ids[-1]) == model.eos_token_ids[0]
    assert model.decode(ids.tolist()) == "dog barking"


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_doctor_sees_that_the_model_hears(arch):
    assert logit_change_between_clips(tiny_model(arch, torch.float32)) > 1e-3


def test_cudnn_attention_is_off_unless_a_recipe_has_it_and_a_judge_loaded_later_leaves_it(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.backends.cuda, "enable_cudnn_sdp", chosen.append)
    loading._avoid_cudnn_attention.cache_clear()
    folder = str(tiny_folder("qwen2_5_omni"))
    load_model(folder, device="cpu")
    assert chosen == [False]
    load_policy(ModelConfig(path=folder, device="cpu"))
    assert chosen == [False, False]
    load_policy(ModelConfig(path=folder, device="cpu", cudnn_attention=True))
    load_model(folder, device="cpu")
    assert chosen == [False, False, True]
