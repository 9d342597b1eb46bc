"""Which number type a checkpoint is loaded in where nobody names one."""

import json
import shutil

import pytest
import torch
from tiny_models import ARCHITECTURES, tiny_folder

from harken.config import EvaluationRecipe, ModelConfig
from harken.evaluation.evaluated_model import agree_on_recipe
from harken.models import loading
from harken.models.loading import pick_dtype


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(loading, "pick_device", lambda name: torch.device("cpu" if name == "cpu" else "cuda"))


def checkpoint(folder, **config):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2_audio", **config}))
    return str(folder)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"dtype": "bfloat16"}, "bfloat16"),
        ({"torch_dtype": "float16"}, "float16"),
        ({"thinker_config": {"text_config": {"dtype": "bfloat16"}}}, "bfloat16"),
        ({"text_config": {"torch_dtype": "float32"}}, "float32"),
        ({"dtype": "float8_e4m3fn"}, "float32"),
        ({"dtype": ["bfloat16"]}, "float32"),
        ({"thinker_config": 3}, "float32"),
        ({}, "float32"),
    ],
)
def test_a_gpu_takes_the_checkpoints_own_type(tmp_path, gpu, config, expected):
    path = checkpoint(tmp_path / "c", **config)
    assert pick_dtype("auto", path, "auto") == expected
    assert pick_dtype("auto", path, "cpu") == "float32"
    assert pick_dtype("float16", path, "auto") == "float16"


def test_an_adapter_has_the_type_of_its_base(tmp_path, gpu):
    base = checkpoint(tmp_path / "base", dtype="bfloat16")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    assert pick_dtype("auto", str(tmp_path / "adapter"), "auto") == "bfloat16"


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_checkpoint_that_harken_writes_names_its_type(tmp_path, gpu, arch):
    shutil.copytree(tiny_folder(arch), tmp_path / "tiny")
    loading.load_model(str(tmp_path / "tiny"), dtype=torch.bfloat16, device="cpu").save(tmp_path / "half")
    assert pick_dtype("auto", str(tmp_path / "half"), "auto") == "bfloat16"


def test_the_folder_of_an_evaluation_names_the_type_and_not_auto(tmp_path, gpu):
    path = checkpoint(tmp_path / "c", dtype="bfloat16")
    recipe = EvaluationRecipe.model_validate({"model": path, "data": {"file": "q.json"}})
    assert recipe.dtype == "auto"
    assert agree_on_recipe(recipe).dtype == "bfloat16"
    assert agree_on_recipe(recipe.model_copy(update={"device": "cpu"})).dtype == "float32"
    assert agree_on_recipe(recipe.model_copy(update={"model": "random-guess"})).dtype == "float32"


def test_frozen_weights_are_bfloat16_with_adapters_in_mixed_precision():
    lora = {"path": "m", "lora": {"rank": 2}}
    assert ModelConfig.model_validate({**lora, "precision": "bf16_mixed"}).frozen_dtype == "bfloat16"
    assert ModelConfig.model_validate(lora).frozen_dtype == "float32"
    assert ModelConfig.model_validate({"path": "m", "precision": "bf16_mixed"}).frozen_dtype == "float32"
    kept = {**lora, "precision": "bf16_mixed", "frozen_dtype": "float32"}
    assert ModelConfig.model_validate(kept).frozen_dtype == "float32"
