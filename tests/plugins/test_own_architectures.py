"""Architectures of the user's own: classes derived from `ChatAudioModel`, in a package or named by a recipe."""

import json
from pathlib import Path

import pytest
import yaml
from command_line import harken, refused_by

from harken import load_model
from harken.config import plugins
from harken.errors import CheckpointError
from harken.models.tiny_checkpoint import write_tiny


def test_an_architecture_of_a_package_is_loaded_by_its_model_type(folder, monkeypatch):
    write_tiny("qwen2_5_omni", folder / "tiny", ["a dog", "a seal"], 0)
    config = json.loads((folder / "tiny" / "config.json").read_text())
    (folder / "tiny" / "config.json").write_text(json.dumps(config | {"model_type": "my_audio_lm"}))
    with pytest.raises(CheckpointError, match="model_type 'my_audio_lm'; harken knows audioflamingo3"):
        load_model(folder / "tiny")
    (folder / "my_audio_lm.py").write_text(
        "from harken.models.qwen_omni import QwenOmni\nclass MyAudioLM(QwenOmni):\n    arch = 'my_audio_lm'\nx = 3\n"
    )
    plugins.make_importable(folder)
    names = {"architecture": {"my_audio_lm": "my_audio_lm:MyAudioLM"}}
    monkeypatch.setattr("harken.models.architectures.installed", lambda kind: names[kind])
    monkeypatch.setattr("harken.system.import_object.installed", lambda kind: names[kind])
    model = load_model(folder / "tiny")
    assert model.audio_lm.arch == "my_audio_lm"
    assert model.ask(folder / "loud.wav", "Who barks?", ["a dog", "a seal"], max_completion_tokens=2).heard
    names["architecture"]["my_audio_lm"] = "my_audio_lm:x"
    with pytest.raises(CheckpointError, match="architecture my_audio_lm: 3 is no class derived from ChatAudioModel"):
        load_model(folder / "tiny")


MY_AUDIO_LM = """from harken.models.qwen_omni import QwenOmni, Qwen2_5OmniThinkerForConditionalGeneration
class MyAudioLM(QwenOmni):
    arch = 'my_audio_lm'
x = 3
"""


def write_architecture(folder: Path, **model) -> None:
    """A checkpoint of an unknown model_type, the module of its class, and a recipe for it that names the class."""
    write_tiny("qwen2_5_omni", folder / "tiny", ["a dog", "a seal"], 0)
    give_own_type(folder / "tiny")
    (folder / "my_audio_lm.py").write_text(MY_AUDIO_LM)
    recipe = {
        **{"name": "mine", "model": {"path": "tiny", "architecture": "my_audio_lm:MyAudioLM", **model}},
        "data": {"train": [{"reader": "barks:BARKS", "file": "barks.json"}]},
        "grpo": {"steps": 2, "prompts_per_step": 2, "completions_per_prompt": 2, "max_completion_tokens": 3},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))


def give_own_type(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"model_type": "my_audio_lm"}))


def test_an_architecture_that_a_recipe_names_is_trained_evaluated_and_exported(folder):
    write_architecture(folder)
    done = harken("train", "recipe.yaml", "--out", "run", "--quiet")
    assert done.code == 0, done.err
    [checkpoint] = (folder / "run" / "checkpoints").glob("step_*")
    give_own_type(checkpoint)  # as a class of transformers' own with this type would write it
    done = harken("evaluate", "--model", "run", "--benchmark", "barks:BARKS", "--data", "barks.json", "--out", "out")
    assert done.code == 0, done.err
    done = harken("export", "run", "--out", "exported")
    assert done.code == 0, done.err
    assert "As the base is loaded" in (folder / "exported" / "README.md").read_text()
    (folder / "my_audio_lm.py").write_text(MY_AUDIO_LM + "y = 4\n")
    assert "module of a architecture: my_audio_lm:MyAudioLM" in refused_by("train", "--resume", "run")


@pytest.mark.slow
def test_adapters_on_an_architecture_of_ones_own_find_its_class_in_their_run(folder):
    write_architecture(folder, lora={"rank": 2})
    done = harken("train", "recipe.yaml", "--out", "run", "--quiet")
    assert done.code == 0, done.err
    [checkpoint] = (folder / "run" / "checkpoints").glob("step_*")
    assert (checkpoint / "adapter_config.json").is_file()
    evaluated = ("--model", "run", "--benchmark", "barks:BARKS", "--data", "barks.json", "--out", "out")
    assert harken("evaluate", *evaluated).code == 0
    refused = refused_by("evaluate", "--model", "tiny", *evaluated[2:-1], "base")
    assert "model_type 'my_audio_lm'; harken knows" in refused  # nothing is remembered of the run


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("my_audio_lm:x", "architecture my_audio_lm:x: 3 is no class derived from ChatAudioModel"),
        ("my_audio_lm:Other", "model.architecture: my_audio_lm:Other: my_audio_lm defines no Other"),
        ("nowhere:Other", "model.architecture: nowhere:Other: cannot be imported"),
        ("my_audio_lm", "expected module:class, such as my_audio_lm:MyAudioLM"),
    ],
)
def test_what_is_no_architecture_is_refused_before_anything_is_loaded(folder, name, sentence):
    write_architecture(folder, architecture=name)
    assert sentence in " ".join(refused_by("train", "recipe.yaml", "--out", "run").split())
