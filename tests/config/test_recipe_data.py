"""Every data path of a built-in recipe is written by a command of docs/recipes.md; the commands run on tiny inputs."""

import shlex
from pathlib import Path

import pytest
from command_line import harken
from downloaded_files import reply, write_downloads
from scripted_server import serving
from tiny_models import tiny_folder

from harken.benchmarks.registry import find_reader
from harken.config import Recipe, load_any_recipe
from harken.config.builtin_recipes import about, builtin_recipes
from recipes_table import DATA_COMMANDS, DOWNLOADED, written_by

RECIPES = {
    name: load_any_recipe(file)
    for name, file in builtin_recipes().items()
    if about(file)[1]  # a base has no command
}


def words_here(command: str, url: str) -> list[str]:
    """A command's words, with the inputs of this machine for the Hub, the server and the published model."""
    command = command.replace("--hub allenai/ai2_arc --config ARC-Easy", "--data arc.jsonl")
    command = command.replace("http://127.0.0.1:8000/v1", url)
    if command.startswith("harken evaluate"):
        command = command.replace("Qwen/Qwen2.5-Omni-7B", str(tiny_folder("qwen2_5_omni")))
    return shlex.split(command)[1:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder in which every command of the page was run."""
    folder = tmp_path_factory.mktemp("data")
    write_downloads(folder)
    with pytest.MonkeyPatch.context() as patch, serving(reply) as server:
        patch.chdir(folder)
        for command in DATA_COMMANDS:
            done = harken(*words_here(command, server.url))
            assert done.code == 0, (command, done.out, done.err)
    return folder


def data_paths(recipe) -> list[str]:
    """The files of questions and pass rates that a recipe reads."""
    if not isinstance(recipe, Recipe):
        return [str(recipe.data.file)]
    rates = [] if recipe.data.pass_rates is None else [str(recipe.data.pass_rates)]
    return [str(source.file) for source in recipe.data.train] + rates


def command_that_writes(path: str) -> str | None:
    """The command, script or download that a path comes from; None where nothing writes it."""
    written = {written_by(command): command for command in DATA_COMMANDS} | DOWNLOADED
    thinker_script = (Path(__file__).parents[2] / "recipes" / "realaqa_thinker.py").read_text(encoding="utf-8")
    for name in ("text", "sft", "joined", "contradicting", "grpo", "test"):
        if f'write_manifest(out / "{name}.jsonl"' in thinker_script:
            written[f"runs/realaqa-thinker/seed0/data/{name}.jsonl"] = "recipes/realaqa_thinker.sh"
    written["runs/realaqa-generated/questions/manifest.jsonl"] = "recipes/realaqa_generated.sh"
    written["../shared/realaqa/train.json"] = "beside a checkout"
    return written.get(path)


@pytest.mark.parametrize("name", RECIPES)
def test_every_file_that_a_recipe_reads_is_written_by_a_command_of_the_page(name):
    for path in data_paths(RECIPES[name]):
        assert command_that_writes(path), f"{name}: no command of benchmarks/recipes_table.py writes {path}"


def test_a_file_that_no_command_writes_is_noticed():
    assert command_that_writes("data/avqa/train.jsonl") is None
    assert command_that_writes("data/avqa/manifest.jsonl") == DATA_COMMANDS[0]


@pytest.mark.parametrize("command", DATA_COMMANDS, ids=written_by)
def test_a_command_of_the_page_writes_the_file_that_the_page_names(command, folder):
    assert (folder / written_by(command)).read_text(encoding="utf-8").count("\n") == 1


@pytest.mark.parametrize("name", [name for name in RECIPES if data_paths(RECIPES[name])[0].startswith("data/")])
def test_the_questions_of_a_training_recipe_are_read_and_their_clips_are_there(name, folder, monkeypatch):
    recipe = RECIPES[name]
    if not isinstance(recipe, Recipe):
        assert data_paths(recipe)[0] in DOWNLOADED
        return
    monkeypatch.chdir(folder)
    for source in recipe.data.train:
        questions, rejected = find_reader(source.reader)(source.file, source.audio_root)
        assert (len(questions), rejected) == (1, [])
        assert all(question.audio is None or question.audio.is_file() for question in questions)
        assert (questions[0].audio is None) == ("arc_easy" in str(source.file))


def test_a_checkpoint_that_a_recipe_starts_from_is_the_run_of_a_recipe():
    runs = {
        words[words.index("--out") + 1]
        for file in builtin_recipes().values()
        for words in map(shlex.split, about(file)[1])
        if "--out" in words
    }
    starts = {recipe.model.path for recipe in RECIPES.values() if isinstance(recipe, Recipe)}
    assert {path for path in starts if path.startswith("runs/") and "realaqa" not in path} <= runs
