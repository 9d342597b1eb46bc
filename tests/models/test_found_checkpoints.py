"""Checkpoints that people have: where their chat template stands, and what is refused before a model is made."""

import json
import re
import shutil

import pytest
import torch
import yaml
from command_line import harken
from safetensors.torch import load_file, save_file
from tiny_models import ARCHITECTURES

from harken.data.demo_set import write_demo_set
from harken.errors import CheckpointError, DataError
from harken.models.loading import load_model, load_renderer
from harken.models.tiny_checkpoint import write_tiny

CONVERSATION = [{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "What?"}]}]


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Architecture -> a tiny checkpoint."""
    root = tmp_path_factory.mktemp("originals")
    for arch in ARCHITECTURES:
        write_tiny(arch, root / arch, ["What?"])
    return {arch: root / arch for arch in ARCHITECTURES}


@pytest.fixture(params=ARCHITECTURES)
def folder(request, originals, tmp_path):
    """A copy to change."""
    return shutil.copytree(originals[request.param], tmp_path / "checkpoint")


@pytest.fixture(params=[arch for arch in ARCHITECTURES if arch != "voxtral"])
def folder_with_template(request, originals, tmp_path):
    """As `folder`, of an architecture whose checkpoints have a chat template."""
    return shutil.copytree(originals[request.param], tmp_path / "checkpoint")


def change(file, **values):
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**content, **values}))


def template_of(folder) -> str:
    """Take the template out of a checkpoint."""
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    return template


PLACES = ["chat_template.json", "processor_config.json", "tokenizer_config.json", "chat_template.jinja"]


@pytest.mark.filterwarnings("ignore:.*[Cc]hat template")
@pytest.mark.parametrize("place", PLACES)
def test_a_chat_template_is_found_wherever_it_stands(folder_with_template, place):
    folder = folder_with_template
    whole = load_renderer(str(folder)).render(CONVERSATION, torch.zeros(16_000).numpy()).input_ids
    template = template_of(folder)
    if place.endswith("jinja"):
        (folder / place).write_text(template)
    else:
        change(folder / place, chat_template=template)
    found = load_renderer(str(folder)).render(CONVERSATION, torch.zeros(16_000).numpy()).input_ids
    assert torch.equal(found, whole)


def test_a_template_that_knows_text_only_gives_way_to_one_that_knows_clips(folder_with_template):
    folder = folder_with_template
    template = template_of(folder)
    (folder / "chat_template.jinja").write_text("{% for turn in messages %}text{% endfor %}")
    change(folder / "chat_template.json", chat_template=template)
    assert "What?" in load_renderer(str(folder)).render(CONVERSATION, torch.zeros(16_000).numpy()).text


FAULTY = {
    "": "no chat template",
    "{{ raise_exception('no clips here') }}": "no clips here",
    "{% for": "TemplateSyntaxError",
    "{{ messages[0]['content'][7].text.x }}": "UndefinedError",
    "{% for n in range(10 ** 9) %}{% endfor %}": "OverflowError",
    "{{ messages[0]['role'] }}": "writes 0",
}


@pytest.mark.parametrize(("template", "reason"), FAULTY.items())
def test_a_missing_or_raising_chat_template_is_an_error_that_names_the_checkpoint(
    originals, tmp_path, template, reason
):
    folder = shutil.copytree(originals["qwen2_5_omni"], tmp_path / "checkpoint")
    template_of(folder)
    if template:
        (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(CheckpointError, match=f"{folder}: no chat template.*{reason}" if template else reason):
        load_renderer(str(folder))


def test_a_template_that_refuses_a_turn_is_an_error_about_that_conversation(originals, tmp_path):
    folder = shutil.copytree(originals["qwen2_5_omni"], tmp_path / "checkpoint")
    template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
    (folder / "chat_template.jinja").write_text(template + template_of(folder))
    model = load_renderer(str(folder))
    with pytest.raises(DataError, match=r"the checkpoint's chat template cannot be applied .*no system turn"):
        model.prompt_length([{"role": "system", "content": "x"}, *CONVERSATION], 16_000)


def test_a_config_cut_to_its_model_type_is_refused_from_the_headers(folder):
    model_type = json.loads((folder / "config.json").read_text())["model_type"]
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    with pytest.raises(CheckpointError, match=r"config\.json describes a model of [0-9,]{12,} weights.*fetch config"):
        load_model(str(folder))


@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes"])
def test_quantised_weights_are_refused_by_name(folder, method):
    change(folder / "config.json", quantization_config={"quant_method": method, "bits": 4})
    for load in (load_model, load_renderer):
        with pytest.raises(CheckpointError, match=rf"{folder}: its weights are quantised \({method}\)"):
            load(str(folder))


def test_quantised_weights_without_a_word_in_the_config_are_seen_in_the_headers(folder):
    file = folder / "model.safetensors"
    save_file({**load_file(file), "model.layers.0.q_proj.qweight": torch.zeros(2, 2)}, file, {"format": "pt"})
    with pytest.raises(CheckpointError, match="quantised"):
        load_model(str(folder))


def test_a_language_model_of_another_family_is_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    change(folder / "config.json", text_config={**config["text_config"], "model_type": "gemma"})
    for load in (load_model, load_renderer):
        with pytest.raises(CheckpointError, match=f"{folder}: a language model of model_type 'gemma' inside"):
            load(str(folder))


@pytest.mark.parametrize("name", ["tokenizer_config.json", "generation_config.json", "config.json"])
def test_half_of_a_surrogate_pair_is_refused_before_training_and_not_when_a_checkpoint_is_written(
    originals, tmp_path, name
):
    folder = shutil.copytree(originals["qwen2_audio"], tmp_path / "checkpoint")
    change(folder / name, note="a pair \ud83d\ude00 and half \ud800")
    with pytest.raises(CheckpointError, match=rf"{name}: holds half of a surrogate pair.*'\\ud800'; fetch the ch"):
        load_model(str(folder))
    change(folder / name, note="a pair \ud83d\ude00")
    load_model(str(folder))


WRONG_VALUES = ["x", -1, None, 10**30, [], {}, 0, True, 1.5]


@pytest.mark.parametrize("value", WRONG_VALUES, ids=repr)
def test_a_wrong_value_in_a_config_is_an_error_about_the_checkpoint(originals, tmp_path, value):
    folder = shutil.copytree(originals["qwen2_audio"], tmp_path / "checkpoint")
    config = json.loads((folder / "config.json").read_text())
    change(folder / "config.json", text_config={**config["text_config"], "hidden_size": value})
    with pytest.raises(CheckpointError, match=str(folder)):
        load_model(str(folder))


def test_a_config_that_fails_only_when_the_model_computes_is_a_sentence_of_every_command(originals, tmp_path):
    folder = shutil.copytree(originals["qwen2_5_omni"], tmp_path / "checkpoint")
    text = json.loads((folder / "config.json").read_text())["text_config"]
    rope = {**text["rope_parameters"], "mrope_section": [1, 1, 1]}  # their sum must be half of a head
    change(folder / "config.json", text_config={**text, "rope_parameters": rope})
    data = tmp_path / "data"
    write_demo_set(data, seed=0, n_train=4, n_test=4)
    recipe = tmp_path / "recipe.yaml"
    values = {"name": "r", "model": {"path": str(folder)}, "data": {"train": [{"file": f"{data}/train.json"}]}}
    recipe.write_text(yaml.safe_dump(values))
    clip = next((data / "audio").glob("*.wav"))
    model = ("--model", folder)
    for words in (
        ("train", recipe, "--out", tmp_path / "grpo"),
        ("sft", recipe, "--out", tmp_path / "sft"),
        ("evaluate", *model, "--data", data / "test.json", "--out", tmp_path / "evaluation"),
        ("ask", *model, clip, "What?", "--choices", "a", "b"),
    ):
        result = harken(*words)
        assert result.code == 2, words
        assert re.search(
            rf"{folder}: the model cannot compute .*config\.json does not fit", " ".join(result.err.split())
        )
    result = harken("doctor", *model)
    assert (result.code, "the model cannot compute" in result.out) == (1, True)
