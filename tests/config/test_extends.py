"""A recipe extends another: mappings are merged, all else is replaced, and every error names the files."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from harken.cli.app import app
from harken.config import (
    CaptionRecipe,
    ConfigError,
    EvaluationRecipe,
    QuestionRecipe,
    ReasoningRecipe,
    Recipe,
    load_any_recipe,
    load_recipe,
    read_values,
    resolve_recipe,
)


def write(path: Path, **values) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


BASE = {
    "model": {"path": "m", "lora": {"rank": 4, "alpha": 8}},
    "data": {"train": [{"file": "a.json"}, {"file": "b.json"}], "dev_share": 0.1},
    "grpo": {"steps": 5, "betas": [0.8, 0.9]},
}


def test_mappings_are_merged_and_lists_and_values_are_replaced(tmp_path):
    write(tmp_path / "base.yaml", **BASE)
    sections = {"model": {"lora": {"rank": 16}}, "data": {"train": [{"file": "c.json"}]}, "grpo": {"steps": 7}}
    mine = write(tmp_path / "mine.yaml", extends="base.yaml", name="mine", **sections)
    assert read_values(mine) == {
        "model": {"path": "m", "lora": {"rank": 16, "alpha": 8}},
        "data": {"train": [{"file": "c.json"}], "dev_share": 0.1},
        "grpo": {"steps": 7, "betas": [0.8, 0.9]},
        "name": "mine",
    }
    assert load_recipe(mine).grpo.betas == (0.8, 0.9)


def test_null_takes_a_section_of_the_base_away(tmp_path):
    write(tmp_path / "base.yaml", **BASE)
    mine = write(tmp_path / "mine.yaml", extends="base.yaml", name="mine", model={"lora": None})
    assert load_recipe(mine).model.lora is None


def test_overrides_go_over_the_recipe_and_over_what_it_extends(tmp_path):
    write(tmp_path / "base.yaml", **BASE)
    mine = write(tmp_path / "mine.yaml", extends="base.yaml", name="mine", grpo={"steps": 7})
    recipe = load_recipe(mine, ["grpo.steps=9", "data.train.1.file=d.json", "model.lora.rank=2"])
    assert recipe.grpo.steps == 9
    assert [source.file.name for source in recipe.data.train] == ["a.json", "d.json"]
    assert (recipe.model.lora.rank, recipe.model.lora.alpha) == (2, 8)


def test_a_chain_is_followed_and_a_path_is_relative_to_the_file_that_extends(tmp_path, monkeypatch):
    write(tmp_path / "shared" / "base.yaml", **BASE)
    write(tmp_path / "shared" / "middle.yaml", extends="base.yaml", grpo={"steps": 6, "beta": 0.1})
    mine = write(tmp_path / "mine" / "mine.yaml", extends="../shared/middle.yaml", name="mine", grpo={"steps": 7})
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe(mine)
    assert (recipe.grpo.steps, recipe.grpo.beta, recipe.grpo.betas) == (7, 0.1, (0.8, 0.9))


def test_a_built_in_recipe_is_extended_by_its_name_from_any_folder(tmp_path):
    mine = write(tmp_path / "mine.yaml", extends="audio_thinker_model_d", name="mine", grpo={"steps": 3})
    recipe = load_recipe(mine)
    assert (recipe.name, recipe.grpo.steps, recipe.grpo.prompts_per_step) == ("mine", 3, 16)
    assert recipe.reward.names == ("adaptive", "format")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"name": "x", "model": {"path": "m"}, "data": {"train": [{"file": "q.json"}]}}, Recipe),
        ({"model": "m", "data": {"file": "q.json"}}, EvaluationRecipe),
        ({"endpoint": {"base_url": "http://x/v1", "model": "m"}, "data": {"file": "q.json"}}, EvaluationRecipe),
        ({"endpoint": {"base_url": "http://x/v1", "model": "m"}, "captions": "c.jsonl"}, QuestionRecipe),
        ({"endpoint": {"base_url": "http://x/v1", "model": "m"}, "manifest": "m", "captions": "c"}, ReasoningRecipe),
        ({"endpoint": {"base_url": "http://x/v1", "model": "m"}, "manifest": "m"}, CaptionRecipe),
    ],
)
def test_every_kind_of_recipe_may_extend_another(tmp_path, values, kind):
    whole = write(tmp_path / "whole.yaml", **values)
    first, *rest = values
    write(tmp_path / "base.yaml", **{first: values[first]})
    mine = write(tmp_path / "mine.yaml", extends="base.yaml", **{key: values[key] for key in rest})
    assert type(load_any_recipe(mine)) is kind
    assert load_any_recipe(mine) == load_any_recipe(whole) == resolve_recipe(kind, mine, [], {}, "harken")


def test_a_circle_is_an_error_that_names_its_files(tmp_path):
    a = write(tmp_path / "a.yaml", extends="b.yaml")
    b = write(tmp_path / "b.yaml", extends="sub/../a.yaml")
    (tmp_path / "sub").mkdir()
    with pytest.raises(ConfigError) as caught:
        load_recipe(a)
    assert str(caught.value).startswith(f"{a} extends {b} extends {tmp_path}/sub/../a.yaml: recipes extend each other")


def test_a_recipe_that_extends_itself_is_a_circle(tmp_path):
    with pytest.raises(ConfigError, match=r"a\.yaml extends .*a\.yaml: recipes extend each other in a circle"):
        load_recipe(write(tmp_path / "a.yaml", extends="a.yaml"))


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ("nowhere.yaml", r"extends: there is no file .*nowhere\.yaml; a path is relative to the file that extends"),
        ("./omni_r1", r"extends: there is no file .*omni_r1"),
        (
            "omni_r2",
            r"extends: no built-in recipe is named 'omni_r2' \(did you mean 'omni_r1'\?\): `harken recipes` lists them",
        ),
        (["a", "b"], r"extends: expected a built-in recipe's name or a path, found \['a', 'b'\]"),
        (None, r"extends: expected a built-in recipe's name or a path, found None"),
    ],
)
def test_a_base_that_is_missing_is_an_error_that_names_both_files(tmp_path, extends, message):
    mine = write(tmp_path / "mine.yaml", extends=extends)
    with pytest.raises(ConfigError, match=message) as caught:
        load_recipe(mine)
    assert str(caught.value).startswith(f"{mine}: ")


def test_a_base_that_is_no_yaml_is_an_error_that_names_it(tmp_path):
    (tmp_path / "base.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"base\.yaml: not YAML"):
        load_recipe(write(tmp_path / "mine.yaml", extends="base.yaml"))


def test_a_dry_run_prints_the_values_of_the_base(tmp_path):
    """The dry run ends at the data, which is not there; the settings are printed before."""
    mine = write(tmp_path / "mine.yaml", extends="r1_aqa", name="mine")
    done = CliRunner().invoke(app, ["train", str(mine), "--dry-run"])
    settings = yaml.safe_load(done.output)
    assert (settings["name"], settings["grpo"]["completions_per_prompt"]) == ("mine", 8)
    assert "extends" not in settings
