"""A policy trains without dropout, whatever its checkpoint's config says."""

import json
import shutil

import pytest
import torch
from small_runs import metric_rows, quiet_console, small_recipe
from tiny_models import ARCHITECTURES, tiny_folder

from harken.config import ModelConfig, Recipe
from harken.data.demo_set import write_demo_set
from harken.grpo.loop import train
from harken.models.policy import load_policy
from harken.training.sft import sft

KEYS = ("dropout", "attention_dropout", "activation_dropout", "encoder_layerdrop", "layerdrop")


def checkpoint_with_dropout(arch, folder):
    """A tiny checkpoint whose config asks for dropout of one half in every part that knows the key."""
    shutil.copytree(tiny_folder(arch), folder)
    config = json.loads((folder / "config.json").read_text())
    parts = [part for part in (config, *config.values()) if isinstance(part, dict) and "model_type" in part]
    for part in parts:
        part.update({key: 0.5 for key in KEYS})
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def recipe(model, data, checkpointing):
    values = small_recipe(model, data, evaluate_every=None).model_dump()
    values["model"]["gradient_checkpointing"] = checkpointing
    values["grpo"] |= {"steps": 1}
    values["sft"] |= {"steps": 1}
    return Recipe.model_validate(values)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_an_unmoved_policy_has_no_gap_and_no_kl_in_its_first_update(arch, checkpointing, tmp_path):
    write_demo_set(tmp_path / "data", seed=0, n_train=8, n_test=4)
    data, model = tmp_path / "data" / "train.json", checkpoint_with_dropout(arch, tmp_path / "model")
    train(recipe(model, data, checkpointing), tmp_path / "run", quiet_console())
    [row] = metric_rows(tmp_path / "run")
    assert row["rollout/logp_gap_max"] < 1e-4
    assert row["loss/kl"] < 1e-8
    assert abs(row["policy/ratio_max"] - 1) < 1e-6


def test_supervised_training_has_the_loss_of_the_model_without_dropout(tmp_path):
    write_demo_set(tmp_path / "data", seed=0, n_train=8, n_test=4)
    data, model = tmp_path / "data" / "train.json", checkpoint_with_dropout("qwen2_audio", tmp_path / "model")
    shutil.copytree(model, tmp_path / "without")
    plain = json.loads((model / "config.json").read_text())
    text = json.dumps(plain).replace('dropout": 0.5', 'dropout": 0.0').replace('layerdrop": 0.5', 'layerdrop": 0.0')
    (tmp_path / "without" / "config.json").write_text(text)
    losses = []
    for name in ("model", "without"):
        sft(recipe(tmp_path / name, data, False), tmp_path / f"run-{name}", quiet_console())
        losses.append(metric_rows(tmp_path / f"run-{name}")[0]["loss/sft"])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_policy_computes_the_same_in_train_mode_and_saves_the_config_as_it_was(arch, tmp_path):
    folder = checkpoint_with_dropout(arch, tmp_path / "model")
    policy = load_policy(ModelConfig(path=str(folder), device="cpu"))
    embedded = policy.embed_tokens(torch.arange(4)[None])
    positions = torch.arange(4)[None]
    hidden = []
    for mode in (False, True):
        policy.module.train(mode)
        hidden.append(policy.hidden(embedded, positions, None))
    assert torch.equal(*hidden)
    policy.save(tmp_path / "saved", None)
    before, after = (json.loads((path / "config.json").read_text()) for path in (folder, tmp_path / "saved"))
    assert after["audio_config"].get("dropout") == before["audio_config"].get("dropout") == 0.5
