"""Built-in recipes are listed, printed and run by their names, and a name is never taken for a file."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from harken.cli.app import app
from harken.config import Recipe, load_recipe
from harken.config.builtin_recipes import about, builtin_recipes, recipe_file
from harken.config.read import read_values
from harken.errors import ConfigError

FOLDER = Path(__file__).parents[2] / "recipes"


def test_a_name_is_a_shipped_recipe_and_a_path_is_a_path():
    assert recipe_file("omni_r1_avqa") == FOLDER / "omni_r1_avqa.yaml"
    for path in ("omni_r1_avqa.yaml", "mine/omni_r1_avqa", "./omni_r1_avqa", "/mine"):
        assert recipe_file(path) == Path(path)


def test_a_file_beside_the_command_does_not_take_a_shipped_name(tmp_path, monkeypatch):
    (tmp_path / "omni_r1_avqa").write_text("name: another")
    monkeypatch.chdir(tmp_path)
    assert recipe_file("omni_r1_avqa") == FOLDER / "omni_r1_avqa.yaml"


@pytest.mark.parametrize("name", ["omni_r2", "", "omni-r1-avqa", "OMNI_R1_AVQA"])
def test_an_unknown_name_is_an_error_that_says_how_to_find_the_known_ones(name):
    with pytest.raises(ConfigError, match=rf"'{name}'( \(did you mean .*\))?: `harken recipes` lists them"):
        recipe_file(name)


def test_every_recipe_is_listed_with_what_it_stands_for_and_its_commands():
    assert builtin_recipes() == {file.stem: file for file in sorted(FOLDER.glob("*.yaml"))}
    for name, file in builtin_recipes().items():
        stands_for, commands = about(file)
        assert stands_for.endswith("."), name
        assert "harken" not in stands_for.split(":")[0].lower(), name
        assert bool(commands) == ("name" in read_values(file)), name
        if commands and not name.startswith("realaqa"):
            assert name in commands[0].split()


def test_the_comment_lines_a_recipe_begins_with_say_what_it_is(tmp_path):
    file = tmp_path / "a.yaml"
    comment = "# First line,\n# and the second.\n#\n#   harken train a \\\n#     --out b\n#   harken sft a\n"
    file.write_text(f"{comment}name: a  # no\n# later\n")
    assert about(file) == ("First line, and the second.", ["harken train a --out b", "harken sft a"])


def test_the_command_lists_and_prints():
    listed = CliRunner().invoke(app, ["recipes"], env={"COLUMNS": "200"})
    assert listed.exit_code == 0
    assert all(name in listed.output for name in builtin_recipes())
    recipes, _, bases = listed.output.partition("which other recipes extend")
    assert " omni_r1_avqa " in recipes
    assert " omni_r1 " not in recipes
    assert " omni_r1 " in bases
    printed = CliRunner().invoke(app, ["recipes", "r1_aqa"])
    assert printed.output == (FOLDER / "r1_aqa.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name, file in builtin_recipes().items() if "name" not in read_values(file)])
def test_resolved_prints_the_values_of_a_base_that_is_no_whole_recipe(name):
    printed = CliRunner().invoke(app, ["recipes", name, "--resolved"])
    assert printed.exit_code == 0
    assert printed.output.startswith(f"# {name} is a base, which other recipes extend.")
    assert yaml.safe_load(printed.output) == read_values(builtin_recipes()[name])


def test_resolved_prints_every_value_and_extends_nothing(tmp_path):
    printed = CliRunner().invoke(app, ["recipes", "r1_aqa", "--resolved"])
    (tmp_path / "mine.yaml").write_text(printed.output, encoding="utf-8")
    assert "extends" not in yaml.safe_load(printed.output)
    assert load_recipe(tmp_path / "mine.yaml") == load_recipe(FOLDER / "r1_aqa.yaml")
    assert yaml.safe_load(printed.output).keys() == Recipe.model_fields.keys()


def test_a_base_is_no_recipe_to_run():
    done = CliRunner().invoke(app, ["train", "omni_r1", "--dry-run"])
    assert "omni_r1.yaml: name: missing; a recipe without a name is a base, which other recipes extend" in str(
        done.exception
    )


def test_a_command_takes_a_name_and_refuses_an_unknown_one():
    refused = CliRunner().invoke(app, ["train", "nobodys_recipe"])
    assert refused.exit_code == 2
    assert "harken recipes" in " ".join(refused.output.split())
    taken = CliRunner().invoke(app, ["train", "omni_r1_avqa", "--dry-run", "--set", "grpo.step=1"])
    assert "omni_r1_avqa.yaml: grpo.step: unknown key" in str(taken.exception)
