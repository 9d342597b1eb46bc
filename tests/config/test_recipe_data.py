"""Every data path of a built-in recipe is written by a command of docs/recipes.md; the commands run on tiny inputs."""

import re
import shlex
from pathlib import Path

import pytest
from command_line import harken
from downloaded_files import N_MMAU, reply, write_downloads
from scripted_server import serving
from tiny_models import tiny_folder

from harken.benchmarks.registry import find_reader
from harken.config import Recipe, load_any_recipe
from harken.config.builtin_recipes import about, builtin_recipes
from recipes_table import DATA_COMMANDS, DOWNLOADED, written_by

N_AVQA = 2
"""Questions of AVQA that are downloaded: so many that each can hear the clip of another."""
RECIPES = {
    name: load_any_recipe(file)
    for name, file in builtin_recipes().items()
    if about(file)[1]  # a base has no command
}


def words_here(command: str, url: str) -> list[str]:
    """A command's words, with the inputs of this machine for the Hub, the server and the published model."""
    command = command.replace("--hub allenai/ai2_arc --config ARC-Easy", "--data arc.jsonl")
    command = re.sub(r"--hub openslr/librispeech_asr --config clean --split \S+", "--data speech.jsonl", command)
    command = command.replace("http://127.0.0.1:8000/v1", url)
    if command.startswith("harken evaluate"):
        command = command.replace(" --model Qwen/Qwen2.5-Omni-7B", "")
        command += f" --model {tiny_folder('qwen2_5_omni')} --max-completion-tokens 4"
    return shlex.split(command)[1:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder in which every command of the page was run."""
    folder = tmp_path_factory.mktemp("data")
    write_downloads(folder, N_AVQA)
    with pytest.MonkeyPatch.context() as patch, serving(reply) as server:
        patch.chdir(folder)
        for command in DATA_COMMANDS:
            done = harken(*words_here(command, server.url))
            assert done.code == 0, (command, done.out, done.err)
    return folder


def data_paths(recipe) -> list[str]:
    """The files of questions, other wordings and pass rates that a recipe reads."""
    if not isinstance(recipe, Recipe):
        return [str(recipe.data.file)] + ([] if recipe.paraphrases is None else [str(recipe.paraphrases)])
    rates = [] if recipe.data.pass_rates is None else [str(recipe.data.pass_rates)]
    return [str(source.file) for source in recipe.data.train] + rates


def n_of(path: str) -> int:
    """The questions in a file that a command writes from the downloads; the scripted reasoning fits one of AVQA's."""
    if "reasoning" in path:
        return 1
    return N_AVQA if "/avqa" in path else N_MMAU if "/mmau" in path else 1


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
    path = folder / written_by(command)
    n = path.read_text(encoding="utf-8").count("\n")
    if "prepare filter" in command:  # the likelihoods of random weights leave one out, or none
        n += (path.parent / "rejected.jsonl").read_text(encoding="utf-8").count("\n")
    assert n == n_of(written_by(command))


@pytest.mark.parametrize("name", [name for name in RECIPES if data_paths(RECIPES[name])[0].startswith("data/")])
def test_the_questions_of_a_recipe_are_read_and_their_clips_are_there(name, folder, monkeypatch):
    recipe = RECIPES[name]
    monkeypatch.chdir(folder)
    for source in recipe.data.train if isinstance(recipe, Recipe) else [recipe.data]:
        questions, rejected = find_reader(source.reader)(source.file, source.audio_root)
        assert rejected == []
        assert len(questions) == n_of(str(source.file)) or "need" in str(source.file)
        assert all(question.audio is None or question.audio.is_file() for question in questions)
        assert (questions[0].audio is None) == ("arc_easy" in str(source.file))
        assert (questions[0].choices == ()) == any(word in str(source.file) for word in ("open", "librispeech"))


def test_a_checkpoint_that_a_recipe_starts_from_is_the_run_of_a_recipe():
    runs = {
        words[words.index("--out") + 1]
        for file in builtin_recipes().values()
        for words in map(shlex.split, about(file)[1])
        if "--out" in words
    } | {f"runs/{recipe.name}" for recipe in RECIPES.values() if isinstance(recipe, Recipe)}
    starts = {recipe.model.path if isinstance(recipe, Recipe) else str(recipe.model) for recipe in RECIPES.values()}
    assert {path for path in starts if path.startswith("runs/") and "realaqa" not in path} <= runs
