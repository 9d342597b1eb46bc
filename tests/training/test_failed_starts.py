"""What stops a run before its first step is found in the order of its cost, and leaves nothing that the corrected
command could stumble over."""

import json
import shutil
from pathlib import Path

import pytest
from small_runs import LOOPS, quiet_console, small_recipe
from tiny_models import tiny_folder

import harken.training.load_models
from harken.config import Recipe
from harken.data.demo_set import write_demo_set
from harken.errors import CheckpointError, ConfigError, DataError, HarkenError
from harken.training.open_session import open_session


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_demo_set(folder, seed=0, n_train=8, n_test=4)
    return folder / "train.json"


def values_of(data: Path, model: Path) -> dict:
    return small_recipe(model, data).model_dump(mode="json")


def start(values: dict, out: Path, loop: str = "grpo"):
    recipe = Recipe.model_validate(values)
    settings = recipe.grpo if loop == "grpo" else recipe.sft
    return open_session(recipe, settings, out, quiet_console(), resume=False)


def judged(values: dict, address: str) -> None:
    values["prompt"] = {"style": "r1_aqa_think"}
    values["reward"] = {"parts": [{"name": "accuracy"}, {"name": "quality"}]}
    values["judge"] = {"endpoint": {"base_url": address, "model": "judge"}}


def spoil(kind: str, values: dict, folder: Path) -> str:
    """Put one fault into the recipe. Returns what the error has to name."""
    match kind:
        case "no manifest":
            values["data"]["train"][0]["file"] = str(folder / "gone.json")
            return "gone.json: cannot be read"
        case "no clips":
            copy = folder / "train.json"
            shutil.copy(values["data"]["train"][0]["file"], copy)
            values["data"]["train"][0]["file"] = str(copy)
            return "no such file"
        case "no pass rates":
            values["data"] |= {"pass_rates": str(folder / "rates.jsonl"), "order": "pass_rate"}
            return "rates.jsonl: cannot be read"
        case "no reward module":
            values["reward"] = {"parts": [{"name": "accuracy"}, {"name": "no_such_rewards:brief"}]}
            return "no_such_rewards:brief: cannot be imported"
        case "no judge":
            judged(values, "http://127.0.0.1:9/v1")
            return "http://127.0.0.1:9/v1: cannot be reached"
        case "no prompt file of the judge":
            judged(values, "http://127.0.0.1:9/v1")
            values["judge"]["quality_prompt_file"] = str(folder / "quality.txt")
            return "quality.txt"
        case "no tracker":
            values["logging"]["trackers"] = ["trackio"]
            return "logging.trackers: trackio is not installed"
        case "no probe":
            values["probe"] = {"file": str(folder / "probe.jsonl")}
            return "probe.jsonl: cannot be read"
    raise AssertionError(kind)


KINDS = ["no manifest", "no clips", "no pass rates", "no reward module", "no judge", "no prompt file of the judge"]
KINDS += ["no tracker", "no probe"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_needs_no_checkpoint_is_refused_before_a_checkpoint_is_looked_for(kind, data, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "trackio", None)
    out, values = tmp_path / "run", values_of(data, Path("nowhere/model"))
    message = spoil(kind, values, tmp_path)
    with pytest.raises(HarkenError) as caught:
        start(values, out)
    assert message in str(caught.value)
    assert not out.exists() or [entry.name for entry in out.iterdir()] == ["rejected.jsonl"]


def test_the_config_of_a_checkpoint_is_refused_before_its_weights_are_read(data, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(tiny_folder("qwen2_5_omni"), model)
    (model / "model.safetensors").write_bytes(b"half")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"model_type": "qwen2"}))
    with pytest.raises(CheckpointError, match="a checkpoint of model_type 'qwen2'"):
        start(values_of(data, model), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_prompts_that_are_too_long_are_refused_before_the_weights_are_read(data, tmp_path, monkeypatch):
    monkeypatch.setattr(harken.training.load_models, "load_policy_exactly", None)
    values = values_of(data, tiny_folder("qwen2_5_omni"))
    values["data"]["max_prompt_tokens"] = 5
    with pytest.raises(DataError, match="8 of 8 records cannot be used"):
        start(values, tmp_path / "run")
    assert [entry.name for entry in (tmp_path / "run").iterdir()] == ["rejected.jsonl"]


def test_damaged_weights_leave_no_folder(data, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(tiny_folder("qwen2_5_omni"), model)
    (model / "model.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError):
        start(values_of(data, model), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_full_disk_is_refused_before_the_weights_are_read(data, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    monkeypatch.setattr(harken.training.load_models, "load_policy_exactly", None)
    with pytest.raises(ConfigError, match=r"run: a checkpoint of this run takes about .* and .* are free"):
        start(values_of(data, tiny_folder("qwen2_5_omni")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("loop", LOOPS)
def test_the_corrected_command_works_in_the_same_folder(loop, data, tmp_path):
    out, values = tmp_path / "run", values_of(data, tiny_folder("qwen2_5_omni"))
    for fault in ({"train_audio_tower": True}, {"path": "nowhere/model"}):
        spoiled = values | {"model": values["model"] | fault, "data": values["data"] | {"max_prompt_tokens": 5}}
        with pytest.raises(HarkenError):
            start(spoiled, out, loop)
    LOOPS[loop](Recipe.model_validate(values), out, quiet_console())
    assert (out / "checkpoints" / "step_000006").is_dir()
    assert (out / "rejected.jsonl").read_text() == ""


def test_a_start_that_was_killed_before_its_first_step_is_begun_again(data, tmp_path):
    out, values = tmp_path / "run", values_of(data, tiny_folder("qwen2_5_omni"))
    start(values, out)
    (out / "thesis.tex").write_text("mine")
    with pytest.raises(ConfigError, match="holds a run already"):
        start(values, out)
    (out / "thesis.tex").unlink()
    start(values | {"seed": 6}, out)
    assert "seed: 6" in (out / "config.yaml").read_text()
