"""Every cell of the table of docs/resume.md: each change before each command is refused, by name, or accepted."""

import re
import shutil
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml
from command_line import harken
from input_changes import CHANGES, OWN_BENCHMARK, World, stop_evaluation
from small_runs import small_recipe
from tiny_models import tiny_folder

from harken.config import GrpoConfig, Recipe
from harken.data.demo_set import write_demo_set
from harken.training import run_inputs

PAGE = Path(__file__).parents[2] / "docs" / "resume.md"
COMMANDS = ("train --resume", "sft --resume", "extend", "evaluate")


def table() -> dict[str, list[str]]:
    """Change -> its cells, one for each command."""
    rows = re.findall(r"^\| ([^|\n]+) \|((?:[^|\n]*\|){4})$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {
        change: [cell.strip() for cell in cells.split("|")[:4]] for change, cells in rows if "what ch" not in change
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matrix")
    shutil.copytree(tiny_folder("qwen2_5_omni"), folder / "model")
    (folder / "model" / "README.md").write_text("a base")
    (folder / "own_reward.py").write_text("def reward(response):\n    return float(len(response.text) % 3)\n")
    (folder / "own_benchmark.py").write_text(OWN_BENCHMARK)
    (folder / "prompt.txt").write_text("{question} {choices}")
    write_demo_set(folder / "data", seed=0, n_train=8, n_test=4)
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(folder))
    recipe = small_recipe(folder / "model", folder / "data" / "train.json", evaluate_every=None).model_dump(mode="json")
    recipe["data"]["train"][0]["reader"] = "own_benchmark:OWN"
    recipe["prompt"]["prompt_file"] = str(folder / "prompt.txt")
    recipe["reward"]["parts"] = [{"name": "own_reward:reward"}]
    recipe["grpo"] |= {"steps": 2}
    recipe["sft"] |= {"steps": 2}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    for loop in ("train", "sft"):
        result = harken(loop, folder / "recipe.yaml", "--out", folder / loop)
        assert result.code == 0, result.err
    stop_evaluation(folder, patch)
    shutil.copytree(folder, folder.with_name("matrix-as-made"))
    yield folder
    for module in ("own_reward", "own_benchmark"):
        sys.modules.pop(module, None)
    patch.undo()


@pytest.fixture
def restored(made):
    """The folder as it was made, times of change too."""
    shutil.rmtree(made)
    shutil.copytree(made.with_name("matrix-as-made"), made)
    return made


def test_the_table_of_the_page_is_that_of_the_changes_and_every_refusal_has_a_name():
    assert table().keys() == CHANGES.keys()
    for change, cells in table().items():
        assert set(cells) <= {"refused", "goes on", ""}, change
        assert ("refused" in cells) == bool(CHANGES[change][1]), change


CELLS = [(change, COMMANDS[column]) for change, cells in table().items() for column in range(4) if cells[column]]


@pytest.mark.slow
@pytest.mark.parametrize(("change", "command"), CELLS)
def test_a_change_before_a_command_is_refused_by_name_or_accepted_as_the_page_says(
    change, command, restored, monkeypatch
):
    world = World(restored, command, monkeypatch, [])
    apply, name = CHANGES[change]
    apply(world)
    result = world.go_on()
    text = " ".join(result.err.split())
    if table()[change][COMMANDS.index(command)] == "goes on":
        assert result.code == 0, result.err
        return
    assert result.code == 2, result.out
    assert re.search(name, text), text
    assert "Traceback" not in text


def leaves(section: type, prefix: str = "") -> list[str]:
    """The keys of a recipe; those of a list of sections are left out."""
    keys = []
    for key, field in section.model_fields.items():
        kinds = [kind for kind in (field.annotation, *get_args(field.annotation)) if hasattr(kind, "model_fields")]
        keys += leaves(kinds[0], f"{prefix}{key}.") if kinds else [f"{prefix}{key}"]
    return keys


def test_every_key_of_a_recipe_is_refused_unless_the_page_lists_it():
    page = PAGE.read_text(encoding="utf-8")
    keys_table = page[page.index("**Keys** that") :].split("\n\n")[1]
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", keys_table, flags=re.MULTILINE))
    listed = {
        f"{section.strip('`')}.{key}" for section, keys in rows.items() for key in re.findall(r"`([\w.]+)`", keys)
    }
    listed = {key.removeprefix("whole sections.").removeprefix("of the recipe.") for key in listed}
    listed |= {f"{loop}.tokens_per_micro_batch" for loop in ("grpo", "sft")}
    listed -= {
        "grpo`, `sft.tokens_per_micro_batch",
        "data.train.file",
        "data.train.audio_root",
    }  # the latter by content
    assert listed == run_inputs.CHANGEABLE

    keys = leaves(Recipe)
    assert len(keys) > 80
    assert set(GrpoConfig.model_fields) == {key.split(".")[1] for key in keys if key.startswith("grpo.")}
    for key in keys:
        *sections, last = key.split(".")
        before, now = {}, {}
        for values, value in ((before, 1), (now, 2)):
            for section in sections:
                values = values.setdefault(section, {})
            values[last] = value
        named = run_inputs.recipe_differences(before, now, run_inputs.CHANGEABLE)
        free = any(key == name or key.startswith(f"{name}.") for name in listed)
        assert bool(named) != free, key
