"""Voxtral: prompts and tokens are mistral-common's, silence fills a clip's windows, and files are as published."""

import base64
import io
import itertools
import json
import shutil

import pytest
import regex
import soundfile
import torch
from tiny_models import make_prompt, noise, plain_arguments, tiny_folder, tiny_model
from transformers import AutoTokenizer, VoxtralProcessor, WhisperFeatureExtractor

from harken.errors import CheckpointError, DataError
from harken.models.loading import load_model, load_renderer

WINDOW = 96_000
"""Samples of the tiny model's window, 6 s, which makes 75 audio tokens."""
QUESTION = "Which digit is spoken in the audio? Choose from: ['one', 'two'].\n\n  It's naïve: 12 <think>"
TEXTS = [QUESTION, " leading", "trailing \n", "DON'T", "1234", "你好 🙂", "\t\t", "a\r\n\r\nb", "[inst] </ s>"]


@pytest.fixture(scope="module")
def renderer():
    return load_renderer(str(tiny_folder("voxtral")))


@pytest.fixture(scope="module")
def tekken():
    return json.loads((tiny_folder("voxtral") / "tekken.json").read_text())


@pytest.fixture
def folder(tmp_path):
    """A checkpoint of its own, to damage."""
    return shutil.copytree(tiny_folder("voxtral"), tmp_path / "checkpoint")


def change(file, **values):
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def ids_of(tekken: dict, text: str) -> list[int]:
    """The slow form of the tokenizer: in each piece of the text, join the two neighbours whose joint bytes have the
    lowest rank, as long as any have one."""
    ranks = {base64.b64decode(token["token_bytes"]): token["rank"] for token in tekken["vocab"]}
    ids = []
    for piece in regex.findall(tekken["config"]["pattern"], text):
        parts = [bytes([byte]) for byte in piece.encode()]
        while joints := {ranks[a + b]: i for i, (a, b) in enumerate(itertools.pairwise(parts)) if a + b in ranks}:
            i = joints[min(joints)]
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        ids += [ranks[part] + tekken["config"]["default_num_special_tokens"] for part in parts]
    return ids


def user(*content) -> list[dict]:
    parts = [{"type": "audio"} if part == "clip" else {"type": "text", "text": part} for part in content]
    return [{"role": "user", "content": parts}]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_has_the_tokens_of_tekken_json_and_comes_back_whole(renderer, tekken, text):
    ids = renderer.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert ids == ids_of(tekken, text)
    assert renderer.decode(ids) == text
    assert len(ids) <= len(text.encode()) // (2 if text == QUESTION else 1)  # most bytes of a known text are joined
    assert renderer.encode_answer(text).tolist() == [*ids, 2]


def test_a_prompt_is_laid_out_as_mistral_common_lays_it_out(renderer, tekken):
    """The special tokens are those of the published tekken.json: <s> 1, </s> 2, [INST] 3 and 4, [AUDIO] 24,
    [BEGIN_AUDIO] 25, [SYSTEM_PROMPT] 17 and 18."""
    first, second = ids_of(tekken, "Which digit?"), ids_of(tekken, "And now?")
    clip = [25, *[24] * 75]
    cases = [
        (user("clip", "Which digit?"), 1, [1, 3, *clip, *first, 4]),
        (user("Which digit?"), 0, [1, 3, *first, 4]),
        (user("clip", "clip", "Which digit?"), 2, [1, 3, *clip, *clip, *first, 4]),
        (user("Which digit?", "clip"), 1, [1, 3, *first, *clip, 4]),
        (user("Which digit?", "And now?"), 0, [1, 3, *ids_of(tekken, "Which digit?\n\nAnd now?"), 4]),
        ([{"role": "user", "content": "Which digit?"}], 0, [1, 3, *first, 4]),
        ([{"role": "system", "content": "And now?"}, *user("Which digit?")], 0, [1, 17, *second, 18, 3, *first, 4]),
        (
            [*user("clip", "Which digit?"), {"role": "assistant", "content": "one"}, *user("And now?")],
            *(1, [1, 3, *clip, *first, 4, *ids_of(tekken, "one"), 2, 3, *second, 4]),
        ),
    ]
    for conversation, clips, expected in cases:
        prompt = renderer.render(conversation, [noise(1.0, 0)] * clips)
        assert prompt.input_ids.tolist() == expected
        assert renderer.prompt_length(conversation, [16_000] * clips) == len(expected)


@pytest.mark.parametrize(
    "samples", [321, 16_000, 20_001, *(WINDOW - n for n in (800, 481, 480, 320, 201, 1, 0, -1, -7_003)), 2 * WINDOW]
)
def test_features_are_those_of_the_models_own_processor_and_no_silence_is_kept(renderer, samples):
    clip = noise(samples / 16_000 + 1e-6, samples)[:samples]
    processor = VoxtralProcessor(renderer.feature_extractor, renderer.tokenizer)
    settings = {"sampling_rate": 16_000, "padding": True, "truncation": False, "return_tensors": "pt"}
    made = processor._retrieve_input_features([clip], 600, pad_to_multiple_of=WINDOW, **settings)
    prompt = renderer.render(user("clip", "Which?"), clip)
    assert torch.equal(renderer._whole_windows(prompt.features), made)
    assert int((prompt.input_ids == 24).sum()) == 75 * len(made)
    assert prompt.features.shape[1] <= -(-samples // 160) + 3


@pytest.mark.slow
@pytest.mark.parametrize("samples", [WINDOW - 200, WINDOW, WINDOW + 1, 2 * WINDOW - 80, 3 * WINDOW])
def test_a_clip_of_any_length_has_the_logits_of_transformers_own_forward(samples):
    model = tiny_model("voxtral")
    inputs = [make_prompt(model, "Which digit?", seconds, 1) for seconds in (0.7, samples / 16_000)]
    arguments = plain_arguments(inputs[1:], model.module)
    arguments["input_features"] = arguments["input_features"].double()
    with torch.no_grad():
        embedded = model.embed(inputs, model.encode_audio(inputs))[1]
        own = model.logits(model.hidden(embedded[None], torch.arange(len(embedded))[None], None))
        assert (own - model.module(**arguments).logits).abs().max() < 1e-9


def test_silence_after_a_clip_is_heard():
    """Where a tower masks it, as Qwen2-Audio's does, other values there change no feature of the clip."""
    model = tiny_model("voxtral", torch.float32)
    prompt = make_prompt(model, "Which digit?", 2.0)
    tower = model.parts["audio_tower"]
    with torch.no_grad():
        [heard] = model._tower(prompt.clips)
        windows = model._whole_windows(prompt.features)
        windows[:, :, 210:] = 0.5
        changed = tower(windows).last_hidden_state.reshape(-1, 384)
    assert heard.shape == (75, 384)
    assert (heard[:20] - changed[:20]).abs().max() > 1e-3


def test_a_system_turn_beside_a_clip_is_refused_as_mistral_common_refuses_it(renderer):
    conversation = [{"role": "system", "content": "Be brief."}, *user("clip", "Which?")]
    with pytest.raises(DataError, match=r"Voxtral takes no system turn beside a clip; leave out prompt\.system"):
        renderer.prompt_length(conversation, 16_000)


def test_the_longest_clip_is_80_windows(renderer):
    assert renderer.max_samples == 80 * WINDOW


def test_files_that_do_not_belong_together_are_refused_by_name(folder):
    (folder / "tekken.json").rename(folder / "other.json")
    with pytest.raises(CheckpointError, match=rf"{folder}: no tekken\.json, the tokenizer of a Voxtral"):
        load_renderer(str(folder))
    (folder / "tekken.json").write_text("{")
    with pytest.raises(CheckpointError, match=f"{folder}: cannot be loaded"):
        load_renderer(str(folder))
    (folder / "other.json").rename(folder / "tekken.json")
    audio = json.loads((folder / "config.json").read_text())["audio_config"]
    change(folder / "config.json", audio_config={**audio, "intermediate_size": 400})
    with pytest.raises(CheckpointError, match="300 positions of width 96 cannot be laid side by side"):
        load_renderer(str(folder))
    change(folder / "config.json", audio_config=audio)
    WhisperFeatureExtractor(feature_size=128).save_pretrained(folder)
    with pytest.raises(CheckpointError, match="of different checkpoints"):
        load_renderer(str(folder))


def test_what_is_saved_has_the_tokenizers_own_file_also_where_the_base_is_gone(folder, tmp_path):
    stored = (folder / "tekken.json").read_bytes()
    model = load_model(str(folder), dtype=torch.bfloat16, device="cpu")
    shutil.rmtree(folder)
    model.save(tmp_path / "saved")
    assert (tmp_path / "saved" / "tekken.json").read_bytes() == stored
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "saved")
    ids = tokenizer(QUESTION, add_special_tokens=False)["input_ids"]
    assert ids == model.tokenizer(QUESTION, add_special_tokens=False)["input_ids"]


def test_the_towers_positions_stay_float32_beside_bfloat16_weights(tmp_path):
    """As transformers keeps them. config.json names the type of the others."""
    model = load_model(str(tiny_folder("voxtral")), dtype=torch.bfloat16, device="cpu")
    model.save(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["dtype"] == "bfloat16"
    again = load_model(str(tmp_path / "saved"), dtype=torch.bfloat16, device="cpu")
    for each in (model, again):
        types = {name: parameter.dtype for name, parameter in each.module.named_parameters()}
        assert types.pop("model.audio_tower.embed_positions.weight") == torch.float32
        assert set(types.values()) == {torch.bfloat16}


@pytest.mark.vllm
def test_prompts_and_features_are_those_of_mistral_common_itself(renderer):
    """vLLM brings it. It wants an older numpy than the environment of the other tests has."""
    pytest.importorskip("mistral_common")
    from transformers.tokenization_mistral_common import MistralCommonBackend

    tokenizer = MistralCommonBackend(str(tiny_folder("voxtral") / "tekken.json"))
    processor = VoxtralProcessor(renderer.feature_extractor, tokenizer)
    for text in TEXTS:
        for samples in (800, WINDOW, WINDOW + 1):
            clip = noise(samples / 16_000 + 1e-6, samples)[:samples]
            file = io.BytesIO()
            soundfile.write(file, clip, 16_000, format="WAV", subtype="FLOAT")
            conversation = user("clip", text)
            prompt = renderer.render(conversation, clip)
            conversation[0]["content"][0]["base64"] = base64.b64encode(file.getvalue()).decode()
            windows = {"pad_to_multiple_of": WINDOW, "max_source_positions": 600}
            made = processor.apply_chat_template(conversation, processor_kwargs={"audio_kwargs": windows})
            assert made["input_ids"][0].tolist() == prompt.input_ids.tolist()
            assert torch.equal(made["input_features"], renderer._whole_windows(prompt.features))
