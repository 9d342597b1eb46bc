"""Assembled checkpoints compute what their parts compute, in plain transformers and in harken, and hear their clips."""

import json
import shutil

import numpy as np
import pytest
import torch
from command_line import harken, refused_by
from safetensors.torch import load_file, save_file
from small_parts import FAMILIES, write_language_model, write_whisper
from transformers import (
    AutoModelForCausalLM,
    AutoProcessor,
    AutoTokenizer,
    Qwen2AudioForConditionalGeneration,
    WhisperModel,
)

from harken.assembly.assemble import assemble
from harken.errors import CheckpointError
from harken.inference.completions import as_completions
from harken.inference.log_probabilities import score_continued, score_packed, score_repeated
from harken.inference.prefill import prefill
from harken.models.loading import load_model

WINDOW_S = 6
QUESTION = [{"role": "user", "content": "What is 2 + 2?"}]
HEARD = [{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "Which digit?"}]}]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    root = tmp_path_factory.mktemp("parts")
    write_whisper(root / "whisper")
    for family in FAMILIES:
        write_language_model(root / family, family)
    return root


@pytest.fixture(scope="module")
def assembled(parts, tmp_path_factory):
    """Family -> an assembled checkpoint."""
    root = tmp_path_factory.mktemp("assembled")
    for family in FAMILIES:
        assemble(str(parts / "whisper"), str(parts / family), root / family, window_s=WINDOW_S)
    return root


def plain(folder):
    return Qwen2AudioForConditionalGeneration.from_pretrained(folder).eval()


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_on_text_are_the_language_models_own(parts, assembled, family):
    own_tokenizer, tokenizer = (AutoTokenizer.from_pretrained(root / family) for root in (parts, assembled))
    texts = [each.apply_chat_template(QUESTION, tokenize=False) for each in (own_tokenizer, tokenizer)]
    assert texts[0] == texts[1]
    ids = own_tokenizer(texts[0], return_tensors="pt").input_ids
    assert torch.equal(tokenizer(texts[0], return_tensors="pt").input_ids, ids)
    expected = AutoModelForCausalLM.from_pretrained(parts / family).eval()(ids).logits
    logits = plain(assembled / family)(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    assert (logits[..., : expected.shape[-1]] - expected).abs().max() < 1e-5
    model = load_model(str(assembled / family), device="cpu")
    embedded = model.embed_tokens(ids)
    positions = torch.arange(ids.shape[1])[None]
    own = model.logits(model.hidden(embedded, positions, None))
    assert (own[..., : expected.shape[-1]] - expected).abs().max() < 1e-4


@torch.no_grad()
def test_states_of_the_tower_are_whispers_over_a_full_window(parts, tmp_path):
    window_s = 8  # all of the Whisper's positions
    assemble(str(parts / "whisper"), str(parts / "qwen2"), tmp_path / "whole", window_s=window_s)
    tower = plain(tmp_path / "whole").model.audio_tower
    extractor = AutoProcessor.from_pretrained(tmp_path / "whole").feature_extractor
    noise = np.random.default_rng(0).standard_normal(window_s * 16_000).astype(np.float32)
    features = extractor(noise, sampling_rate=16_000, return_tensors="pt").input_features
    expected = WhisperModel.from_pretrained(parts / "whisper").eval().encoder(features).last_hidden_state
    before_pooling = []
    tower.avg_pooler.register_forward_pre_hook(lambda module, given: before_pooling.append(given[0]))
    tower(features)
    states = tower.layer_norm(before_pooling[0].transpose(1, 2))
    assert states.shape == (1, 400, 512)
    assert (states - expected).abs().max() < 1e-4


def test_a_shorter_window_has_the_first_positions(parts, assembled):
    whole = load_file(parts / "whisper" / "model.safetensors")["model.encoder.embed_positions.weight"]
    kept = load_file(assembled / "llama" / "model.safetensors")["audio_tower.embed_positions.weight"]
    assert torch.equal(kept, whole[: 50 * WINDOW_S])
    assert AutoProcessor.from_pretrained(assembled / "llama").feature_extractor.chunk_length == WINDOW_S


@torch.no_grad()
@pytest.mark.parametrize("family", ["qwen3", "llama"])
def test_harken_and_transformers_hear_the_same_clip(assembled, family):
    clip = np.random.default_rng(1).standard_normal(12_345).astype(np.float32) * 0.1
    model = load_model(str(assembled / family), device="cpu")
    prompt = model.render(HEARD, clip)
    (embedded,) = model.embed([prompt], model.encode_audio([prompt]))
    positions = torch.arange(len(embedded))[None]
    logits = model.logits(model.hidden(embedded[None], positions, None))[0, -1]
    processor = AutoProcessor.from_pretrained(assembled / family)
    text = processor.apply_chat_template(HEARD, add_generation_prompt=True, tokenize=False)
    inputs = processor(text=text, audio=[clip], return_tensors="pt", sampling_rate=16_000)
    assert torch.equal(inputs.input_ids[0], prompt.input_ids)
    expected = plain(assembled / family)(**inputs).logits[0, -1]
    assert (logits - expected).abs().max() < 1e-4


def test_the_doctor_sees_the_logits_change_with_the_clip(assembled):
    assert harken("doctor", "--model", assembled / "llama").code == 0


@torch.no_grad()
@pytest.mark.parametrize("pairs", [0.0, float("inf")], ids=["two parts", "one mask"])
def test_shared_prompts_of_a_qwen3_score_as_repeated_ones(assembled, pairs, monkeypatch):
    monkeypatch.setattr("harken.inference.packed_rows.PAIRS_FOR_TWO_PARTS", pairs)
    model = load_model(str(assembled / "qwen3"), device="cpu")
    clips = [np.random.default_rng(n).standard_normal(9_000 + 3_000 * n).astype(np.float32) * 0.1 for n in (0, 1)]
    inputs = [model.render(HEARD, clip) for clip in clips]
    rows = as_completions([torch.arange(20, 20 + n) for n in (3, 9, 1, 6)], model.device)
    expected = score_repeated(model, inputs, rows).logp
    embedded = model.embed(inputs, model.encode_audio(inputs))
    assert (score_packed(model, embedded, rows).logp - expected).abs().max() < 1e-4
    assert (score_continued(model, prefill(model, embedded), rows).logp - expected).abs().max() < 1e-4


def test_audio_embeddings_have_the_scale_of_token_embeddings(assembled):
    model = load_model(str(assembled / "qwen2"), device="cpu")
    rng = np.random.default_rng(2)
    clips = [rng.standard_normal(16_000).astype(np.float32) * level for level in (0.01, 0.1, 0.3)]
    prompts = [model.render(HEARD, clip) for clip in clips]
    with torch.no_grad():
        audio = torch.cat([piece for piece in model.encode_audio(prompts) if piece is not None])
    tokens = model.module.get_input_embeddings().weight
    ratio = audio.norm(dim=1).mean() / tokens.norm(dim=1).mean()
    assert 0.5 < ratio < 2


def test_the_added_tokens_have_the_mean_embedding(parts, assembled):
    own = load_file(parts / "llama" / "model.safetensors")["model.embed_tokens.weight"]
    new = load_file(assembled / "llama" / "model.safetensors")
    for name in ("language_model.model.embed_tokens.weight", "language_model.lm_head.weight"):
        assert len(new[name]) == len(own) + 3
        assert torch.equal(new[name][: len(own)], own)
        assert torch.allclose(new[name][len(own) :], own.mean(0).expand(3, -1))


def test_audio_tokens_that_a_language_model_was_taught_keep_their_embeddings(parts, tmp_path):
    folder = shutil.copytree(parts / "qwen2", tmp_path / "part")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|audio_bos|>"]})
    tokenizer.save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.save_pretrained(folder)
    assemble(str(parts / "whisper"), str(folder), tmp_path / "o", window_s=WINDOW_S)
    new = load_file(tmp_path / "o" / "model.safetensors")["language_model.model.embed_tokens.weight"]
    assert torch.equal(new[: len(tokenizer)], model.get_input_embeddings().weight)
    assert len(new) == len(tokenizer) + 2


def test_clips_are_numbered_and_other_turns_stay_the_language_models_own(parts, assembled):
    tokenizer = AutoTokenizer.from_pretrained(assembled / "llama")
    own = AutoTokenizer.from_pretrained(parts / "llama")
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "audio"}, {"type": "audio"}, {"type": "text", "text": "Same?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "No."}]},
        {"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "And {{ this }}?"}]},
    ]
    places = [f"Audio {n}: <|audio_bos|><|AUDIO|><|audio_eos|>\n" for n in (1, 2, 3)]
    written = ["Be brief.", places[0] + places[1] + "Same?", "No.", places[2] + "And {{ this }}?"]
    as_text = [{**turn, "content": text} for turn, text in zip(turns, written, strict=True)]
    options = {"tokenize": False, "add_generation_prompt": True}
    assert tokenizer.apply_chat_template(turns, **options) == own.apply_chat_template(as_text, **options)


def changed(folder, target, **values):
    shutil.copytree(folder, target)
    config = json.loads((target / "config.json").read_text()) | values
    (target / "config.json").write_text(json.dumps(config))
    return target


REFUSED = {
    "another family": ("qwen2", {"model_type": "gpt2"}, "model_type 'gpt2'; harken assembles qwen2, qwen3, llama"),
    "sliding windows": ("qwen2", {"use_sliding_window": True}, "sliding windows"),
    "biases": ("llama", {"attention_bias": True}, "a Llama model with attention_bias"),
    "heads": ("llama", {"head_dim": 32}, "heads of 32 numbers do not fill its hidden size"),
    "quantised": ("llama", {"quantization_config": {"quant_method": "awq"}}, "quantised"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_language_model_that_cannot_be_expressed_is_refused_by_name(parts, tmp_path, case):
    family, values, reason = REFUSED[case]
    folder = changed(parts / family, tmp_path / "part", **values)
    message = refused_by(
        "assemble", "--encoder", parts / "whisper", "--language-model", folder, "--window-s", 6, "--out", tmp_path / "o"
    )
    assert reason in message
    assert str(folder) in message
    assert not (tmp_path / "o").exists()


def test_a_language_model_without_a_chat_template_is_refused(parts, tmp_path):
    folder = shutil.copytree(parts / "llama", tmp_path / "part")
    (folder / "chat_template.jinja").unlink()
    words = ("--encoder", parts / "whisper", "--language-model", folder, "--window-s", 6, "--out", tmp_path / "o")
    assert "has no chat template" in refused_by("assemble", *words)


@pytest.mark.parametrize(
    ("encoder", "window_s", "reason"),
    [
        ("whisper", 9, "has positions for 8 s: set --window-s to at most 8"),
        ("llama", 6, "a checkpoint of model_type 'llama'; the encoder must be a Whisper"),
        ("missing", 6, "missing: no such folder"),
    ],
)
def test_an_encoder_that_does_not_fit_is_refused(parts, tmp_path, encoder, window_s, reason):
    options = ("--language-model", parts / "llama", "--window-s", window_s, "--out", tmp_path / "o")
    assert reason in refused_by("assemble", "--encoder", parts / encoder, *options)


def test_weights_of_another_encoder_are_refused(parts, tmp_path):
    folder = shutil.copytree(parts / "whisper", tmp_path / "part")
    weights = load_file(folder / "model.safetensors")
    del weights["model.encoder.layers.1.fc1.weight"]
    save_file(weights, folder / "model.safetensors")
    options = ("--language-model", parts / "llama", "--window-s", 6, "--out", tmp_path / "o")
    message = refused_by("assemble", "--encoder", folder, *options)
    assert (
        f"{folder}: 1 of the encoder's weights are not those of its config.json, such as layers.1.fc1.weight" in message
    )


@pytest.mark.parametrize("key", ["d_model", "encoder_ffn_dim", "encoder_layers", "num_mel_bins"])
def test_the_config_of_another_encoder_is_refused(parts, tmp_path, key):
    folder = shutil.copytree(parts / "whisper", tmp_path / "part")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {key: 2 * config[key]}))
    options = ("--language-model", parts / "llama", "--window-s", 6, "--out", tmp_path / "o")
    assert f"{folder}: " in refused_by("assemble", "--encoder", folder, *options)


@pytest.mark.parametrize("name", ["model.layers.1.mlp.up_proj.weight", "model.embed_tokens.weight"])
def test_a_language_model_that_lacks_weights_is_refused_and_not_filled_with_random_ones(parts, tmp_path, name):
    folder = shutil.copytree(parts / "llama", tmp_path / "part")
    weights = load_file(folder / "model.safetensors")
    del weights[name]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    options = ("--language-model", folder, "--window-s", 6, "--out", tmp_path / "o")
    message = refused_by("assemble", "--encoder", parts / "whisper", *options)
    assert f"{folder}: " in message


def test_a_config_of_a_language_model_that_was_cut_to_its_type_is_refused_before_a_model_is_made(parts, tmp_path):
    folder = shutil.copytree(parts / "llama", tmp_path / "part")
    (folder / "config.json").write_text('{"model_type": "llama"}')
    options = ("--language-model", folder, "--window-s", 6, "--out", tmp_path / "o")
    message = refused_by("assemble", "--encoder", parts / "whisper", *options)
    assert "the files hold no tensor of the shape" in message


def test_a_folder_that_holds_something_is_left_alone(parts, assembled):
    words = ("--encoder", parts / "whisper", "--language-model", parts / "llama", "--out", assembled / "llama")
    assert "exists already" in refused_by("assemble", *words)


def test_the_card_names_the_parts_and_their_licences(parts, tmp_path):
    for part, licence in (("whisper", "mit"), ("llama", "apache-2.0")):
        folder = shutil.copytree(parts / part, tmp_path / part)
        (folder / "README.md").write_text(f"---\nlicense: {licence}\n---\n")
    words = ("--encoder", tmp_path / "whisper", "--language-model", tmp_path / "llama", "--window-s", "6")
    assert harken("assemble", *words, "--out", tmp_path / "o").code == 0
    card = (tmp_path / "o" / "README.md").read_text()
    assert "| Audio tower | whisper | mit |" in card
    assert "| Language model | llama | apache-2.0 |" in card
    assert "license: other" in card
    assert "serves windows of 30 s alone" in card


@pytest.mark.parametrize(("part", "name"), [("whisper", "config.json"), ("qwen2", "tokenizer_config.json")])
def test_half_of_a_surrogate_pair_in_a_part_is_refused_by_its_file(parts, part, name, tmp_path):
    folders = {each: shutil.copytree(parts / each, tmp_path / each) for each in ("whisper", "qwen2")}
    file = folders[part] / name
    file.write_text(json.dumps({**json.loads(file.read_text()), "note": "\ud800"}))
    with pytest.raises(CheckpointError, match=f"{part}/{name}: holds half of a surrogate pair"):
        assemble(str(folders["whisper"]), str(folders["qwen2"]), tmp_path / "out", window_s=WINDOW_S)
    assert not (tmp_path / "out").exists()
