"""A file of tasks says how each differs from the recipe; the one of forced budgets ends in a curve of the report."""

from pathlib import Path

import pytest
from command_line import harken
from small_runs import quiet_console, small_recipe
from tiny_models import tiny_folder

from harken.config.builtin_recipes import recipe_file
from harken.data.demo_set import write_demo_set
from harken.errors import ConfigError
from harken.evaluation.tasks import task_recipes
from harken.grpo.loop import train
from harken.report.accuracy import accuracy_table
from harken.report.question_sets import question_sets
from harken.report.run import read_run

BUDGETS = Path(__file__).parents[2] / "recipes" / "tasks" / "budgets.yaml"
RECIPE = recipe_file("audio_thinker_budgets")


def test_all_stands_for_every_task_of_the_file_and_each_keeps_what_the_recipe_says():
    recipes = task_recipes(["all"], BUDGETS, RECIPE, {})
    assert {(recipe.force, recipe.data.audio) for recipe in recipes.values()} == {
        (force, audio)
        for force in (None, "no_think", "think:16", "think:64", "think:256", "think")
        for audio in ("real", "none")
    }
    assert len(recipes) == 12
    for recipe in recipes.values():
        assert (recipe.data.reader, str(recipe.data.file)) == ("mmau", "data/mmau/mmau-test-mini.json")
        assert (recipe.model, recipe.prompt.style) == ("runs/audio-thinker-model-f", "adaptive")


def test_a_task_that_names_a_file_has_its_own_reader_and_a_task_may_be_called_all(tmp_path):
    (tmp_path / "tasks.yaml").write_text("all: {data: {file: a.jsonl}}\nmmar: {}\n")
    recipes = task_recipes(["all", "mmar"], tmp_path / "tasks.yaml", RECIPE, {})
    assert [recipe.data.reader for recipe in recipes.values()] == ["manifest", "mmar"]
    assert list(task_recipes(["all"], tmp_path / "tasks.yaml", RECIPE, {})) == ["all"]
    with pytest.raises(ConfigError, match="there is no task 'all'"):
        task_recipes(["all"], None, RECIPE, {})


@pytest.mark.slow
def test_the_budgets_of_a_trained_run_are_a_curve_in_its_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_demo_set(tmp_path / "data" / "mmau", seed=0, n_train=4, n_test=8)
    (tmp_path / "data" / "mmau" / "test.json").rename(tmp_path / "data" / "mmau" / "mmau-test-mini.json")
    run = tmp_path / "runs" / "audio-thinker-model-f"
    recipe = small_recipe(tiny_folder("qwen2_5_omni"), tmp_path / "data" / "mmau" / "train.json", evaluate_every=None)
    train(recipe, run, quiet_console())
    options = ("--tasks", "all", "--data", BUDGETS, "--out", run / "eval", "--max-completion-tokens", "4")
    done = harken("evaluate", "audio_thinker_budgets", *options)
    assert done.code == 0, done.err
    [questions] = question_sets(read_run(run))
    table = accuracy_table("run", questions)
    lengths = [line.label.partition(",")[0] for line in table.budgets]
    expected = ["no reasoning", "up to 16 tokens", "up to 64 tokens", "up to 256 tokens", "no limit"]
    assert lengths == expected
    assert all(line.after is not None and line.audio_gain is not None for line in table.budgets)
    assert harken("report", run).code == 0
