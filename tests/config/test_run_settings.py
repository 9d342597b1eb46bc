"""The settings of runs: old names of keys are read in run folders and refused in recipes."""

from pathlib import Path

import pytest
import yaml

from harken.config import as_yaml, load_recipe, load_run_recipe, rename_keys
from harken.errors import ConfigError

SMALLEST = {"name": "x", "model": {"path": "m"}, "data": {"train": [{"file": "q.json"}]}}
OLD_NAMES = [("sft.questions_per_step", "sft.prompts_per_step")]
GONE = ["grpo.prompts_per_micro_batch", "sft.prompts_per_micro_batch", "sft.questions_per_micro_batch"]


def write_recipe(folder: Path, **sections) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**SMALLEST, **sections}), encoding="utf-8")
    return path


@pytest.mark.parametrize(("old", "new"), OLD_NAMES)
def test_a_recipe_with_the_old_name_of_a_key_is_refused_with_the_new_name(tmp_path, old, new):
    for sections, overrides in (({"sft": {old.removeprefix("sft."): 3}}, []), ({}, [f"{old}=3"])):
        path = write_recipe(tmp_path, **sections)
        with pytest.raises(ConfigError) as caught:
            load_recipe(path, overrides)
        assert str(caught.value) == f"{path}: {old}: this key is now called {new}"


def test_the_settings_of_a_run_made_before_a_key_was_renamed_are_read_under_the_new_name(tmp_path):
    recipe = load_recipe(write_recipe(tmp_path, sft={"prompts_per_step": 3}))
    text = as_yaml(recipe)
    for old, new in OLD_NAMES:
        assert text.count(new.removeprefix("sft.")) == 2  # in grpo too
        sections = text.split("sft:\n")
        text = f"{sections[0]}sft:\n{sections[1].replace(new.removeprefix('sft.'), old.removeprefix('sft.'))}"
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    assert "questions_per_step: 3" in text
    assert load_run_recipe(tmp_path) == recipe
    with pytest.raises(ConfigError, match="now called"):
        load_recipe(tmp_path / "config.yaml")


@pytest.mark.parametrize("options", [{"consistency": "equation", "balance_scope": "group"}, None])
def test_options_of_a_run_whose_part_adaptive_held_them_are_read_beside_the_parts(tmp_path, options):
    reward = {"parts": [{"name": "adaptive"}, {"name": "format", "weight": 0.5}], "adaptive": options}
    judge = {"endpoint": {"base_url": "http://127.0.0.1:1/v1", "model": "m"}}
    recipe = load_recipe(write_recipe(tmp_path, reward=reward, judge=judge, prompt={"style": "adaptive"}))
    values = recipe.model_dump(mode="json")
    adaptive = values["reward"].pop("adaptive")
    for part, own in zip(values["reward"]["parts"], (adaptive, None), strict=True):
        part["options"] = own
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    assert load_run_recipe(tmp_path) == recipe


@pytest.mark.parametrize("reward", [None, [], {}, {"parts": None}, {"parts": [3, {"name": "accuracy", "options": {}}]}])
def test_rewards_of_damaged_settings_are_left_for_the_reader_to_refuse(reward):
    assert "reward" in rename_keys({"reward": reward})


def test_options_of_another_part_are_not_dropped_without_a_word():
    part = {"name": "accuracy", "options": {"balance": True}}
    assert rename_keys({"reward": {"parts": [part]}}) == {"reward": {"parts": [part]}}


@pytest.mark.parametrize("key", GONE)
def test_a_key_that_is_gone_is_refused_with_what_to_do_and_a_run_made_with_it_is_read_without_it(tmp_path, key):
    path, (section, _, name) = write_recipe(tmp_path), key.partition(".")
    with pytest.raises(ConfigError) as caught:
        load_recipe(path, [f"{key}=3"])
    assert str(caught.value) == (
        f"{path}: {key}: this key is gone, micro-batches are cut by tokens: remove it, or set "
        f"{section}.tokens_per_micro_batch"
    )
    recipe = load_recipe(path)
    values = recipe.model_dump(mode="json")
    values[section][name] = 3
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    assert load_run_recipe(tmp_path) == recipe


def test_the_settings_of_a_run_extend_nothing(tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**SMALLEST, "extends": "r1_aqa"}), encoding="utf-8")
    with pytest.raises(ConfigError, match="extends: unknown key"):
        load_run_recipe(tmp_path)
