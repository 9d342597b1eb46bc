"""YAML that surprises is an error with its line, and what a recipe needs is read as written."""

import re

import pytest

from harken.config import load_recipe
from harken.config.yaml_text import parse_yaml
from harken.errors import ConfigError

BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "\n".join(
    f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]" for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)
REFUSED = {
    "a: 1\na: 2": "line 2, column 1: the key 'a' stands twice",
    "? [a]\n: 1": "a key that is no text",
    "1: x": "a key that is no text",
    "on: x": "a key that is no text",
    "a: !!python/object:os.system 1": "the tag 'tag:yaml.org,2002:python/object:os.system'",
    "a: !!set {x}": "line 1, column 4: the tag",
    "a: !!bool maybe": "the tag",
    f"a: {'9' * 400}": "an integer of 400 signs",
    f"a: {'[' * 3000}": "nested too deeply",
    "a: &x [*x]": "the alias 'x' stands inside what it stands for",
    "a: &x {<<: *x}": "stands inside",
    BOMB: "line 5, column 4: aliases make more than 100000 values",
    'a: "\\0"': "NUL character",
    'a: "\\ud800"': "half of a surrogate pair",
    "a\0b: 1": "the character '\\x00' at position 1",
    "a: b: c": "line 1, column 5",
    "a: *nope": "undefined alias",
    "--- 1\n--- 2": "line 2, column 1",
    "a: [": "line 1",
    "%YAML 9.9\n---\na: 1": "incompatible",
}
READ = {
    "a: 2020-01-01": "2020-01-01",
    "a: 12:30": "12:30",
    "a: 010": 10,
    "a: 0x1F": "0x1F",
    "a: -7": -7,
    "a: 1.5": 1.5,
    "a: 1e-6": "1e-6",  # pydantic makes a number of it where a number belongs
    "a: ~": None,
    "a: true": True,
    "x: &x {b: 1}\na: {<<: *x, c: 2}": {"b": 1, "c": 2},
    "a: =": "=",
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.items())
def test_what_surprises_is_refused_with_its_place(text, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_yaml(text)


@pytest.mark.parametrize(("text", "value"), READ.items())
def test_what_a_recipe_needs_is_read_as_written(text, value):
    assert parse_yaml(text)["a"] == value


def test_an_alias_gives_a_value_of_its_own():
    values = parse_yaml("a: &x {b: 1}\nc: *x")
    values["c"]["b"] = 2
    assert values["a"] == {"b": 1}


@pytest.mark.parametrize("number", [".nan", ".inf", "1e400"])
def test_a_number_that_is_none_is_refused_with_its_key(tmp_path, number):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"name: a\nmodel: {{path: m}}\ndata: {{train: [{{file: q}}]}}\ngrpo: {{learning_rate: {number}}}")
    with pytest.raises(ConfigError, match=r"recipe\.yaml: grpo\.learning_rate: .*finite number"):
        load_recipe(recipe)
