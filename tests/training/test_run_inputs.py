"""A run is bound to its inputs: what may change goes on, what changes the result is refused by name."""

import json
import shutil
from typing import get_args

import pytest
from command_line import harken
from input_changes import change_answers, change_base, edit, halve_data, silence_clips
from small_runs import LOOPS, differences, metric_rows, quiet_console, read_run, small_recipe
from tiny_models import tiny_folder

import harken.training.run_inputs as run_inputs
from harken.config import Recipe, as_yaml, load_run_recipe
from harken.data.demo_set import write_demo_set
from harken.errors import ConfigError
from harken.report.facts import run_facts
from harken.report.run import read_run as read_run_folder
from harken.system.environment import package_versions
from harken.training.extend_run import extend_run
from harken.training.schedule import learning_rate_at


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with model, data and a finished SFT run of two steps, whose recipe names the first two."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copytree(tiny_folder("qwen2_5_omni"), folder / "model")
    write_demo_set(folder / "data", seed=0, n_train=8, n_test=4)
    recipe = small_recipe(folder / "model", folder / "data" / "train.json", evaluate_every=None)
    recipe = recipe.model_copy(update={"sft": recipe.sft.model_copy(update={"steps": 2})})
    LOOPS["sft"](recipe, folder / "run", quiet_console())
    return folder


@pytest.fixture
def world(made, tmp_path):
    """A copy of it; the data is linked by the same path, so it is restored after each test."""
    keep = shutil.copytree(made, tmp_path / "keep")
    yield made
    for part in ("model", "data", "run"):
        shutil.rmtree(made / part)
        shutil.copytree(keep / part, made / part)  # copies times too


REFUSED = {
    "every answer": (change_answers, "file data.train.0.file: changed"),
    "half of the data": (halve_data, "file data.train.0.file: changed"),
    "silenced clips": (silence_clips, r"clip .*\.wav: changed"),
    "learning rate": (lambda world: edit(world / "run", sft={"learning_rate": 0.5}), "recipe: sft.learning_rate: 0.01"),
    "seed": (lambda world: edit(world / "run", seed=6), "recipe: seed: 5 in the folder, 6 now"),
    "development share": (lambda world: edit(world / "run", data={"dev_share": 0.5}), "recipe: data.dev_share: 0.3 in"),
    "prompt": (lambda world: edit(world / "run", prompt={"style": "r1_aqa"}), "recipe: prompt.style: 'omni_r1' in"),
    "steps": (lambda world: edit(world / "run", sft={"steps": 4}), "recipe: sft.steps: 2 in the folder, 4 now"),
    "base checkpoint": (change_base, "base checkpoint config.json: changed"),
}


def resume(run, loop="sft", **options):
    return LOOPS[loop](load_run_recipe(run), run, quiet_console(), resume=True, **options)


@pytest.mark.parametrize("change", REFUSED)
def test_a_change_of_an_input_is_refused_by_name_and_accepted_on_demand(change, world):
    apply, pattern = REFUSED[change]
    apply(world)
    rows = metric_rows(world / "run")
    with pytest.raises(ConfigError, match=pattern):
        resume(world / "run")
    assert metric_rows(world / "run") == rows
    assert not (world / "run" / "history.jsonl").exists()
    resume(world / "run", accept_changes=True)
    row, *clips = [json.loads(line) for line in (world / "run" / "history.jsonl").read_text().splitlines()]
    assert all(change.startswith("clip ") for later in clips for change in later["changes"])
    assert row["step"] == 2
    assert row["event"] == "resumed with changes"
    facts = dict(run_facts("", read_run_folder(world / "run"))["facts"])
    assert "after step 2: resumed with changes: " in facts["history"]
    resume(world / "run")  # what was accepted is what the run is bound to now


def test_another_loop_and_other_versions_are_refused(world, monkeypatch):
    with pytest.raises(ConfigError, match="loop: harken sft began the run, harken train is to go on with it"):
        resume(world / "run", "grpo")
    monkeypatch.setattr(run_inputs, "package_versions", lambda: {**package_versions(), "torch": "0.1"})
    with pytest.raises(ConfigError, match=r"version of torch: 2\.\S+ then, 0\.1 now"):
        resume(world / "run")


def test_what_cannot_change_a_result_may_change(world):
    before = read_run(world / "run")
    (world / "data" / "questions.json").write_bytes((world / "data" / "train.json").read_bytes())
    edit(
        world / "run",
        logging={"every": 3, "keep_checkpoints": 5},
        memory={"rollout_rows": 2},
        sft={"tokens_per_micro_batch": 1},
        data={"train": [{"file": str(world / "data" / "questions.json")}], "hash_clips": True},
    )
    resume(world / "run")
    after = read_run(world / "run")
    changed = differences(after, before)
    assert all(place.startswith("/clips.jsonl") for place in changed)  # they have hashes now
    silence_clips(world)
    with pytest.raises(ConfigError, match=r"clip .*: changed\n(.*\n)* +\d+ more|clip .*: changed"):
        resume(world / "run")


def test_every_key_that_may_change_is_a_key_of_recipes():
    for key in run_inputs.CHANGEABLE:
        section = Recipe
        for name in key.split("."):
            field = section.model_fields[name].annotation
            kinds = [kind for kind in (field, *get_args(field)) if hasattr(kind, "model_fields")]
            section = kinds[0] if kinds else None


def test_hashed_clips_may_have_other_times(world):
    edit(world / "run", data={"hash_clips": True})
    resume(world / "run")
    for clip in (world / "data" / "audio").glob("*.wav"):
        clip.touch()
    resume(world / "run")


def test_the_folder_of_an_older_run_resumes_and_is_bound_from_then_on(world):
    for name in ("inputs.json", "clips.jsonl"):
        (world / "run" / name).unlink()
    resume(world / "run")
    change_answers(world)
    with pytest.raises(ConfigError, match=r"data\.train\.0\.file: changed"):
        resume(world / "run")


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"recipe": 3}', '{"recipe": {}, "loop": "x"}', "\0\0"])
def test_a_damaged_record_of_inputs_is_an_error_that_names_it(text, world):
    (world / "run" / "inputs.json").write_text(text)
    with pytest.raises(ValueError, match=r"inputs\.json: .*restore it, or remove it"):
        resume(world / "run")


@pytest.mark.parametrize("damage", [{"sft": ["steps"]}, {"sft": None}, {"sft": {"steps": "two"}}, {"seeds": 3}])
@pytest.mark.parametrize("command", ["extend", "resume"])
def test_a_recorded_recipe_that_is_none_is_refused_by_its_key_and_nothing_is_written(command, damage, world):
    file = world / "run" / "inputs.json"
    inputs = json.loads(file.read_text())
    file.write_text(json.dumps({**inputs, "recipe": {**inputs["recipe"], **damage}}))
    before = {path: path.read_bytes() for path in (file, world / "run" / "config.yaml")}
    with pytest.raises(ConfigError, match=rf"inputs\.json: {next(iter(damage))}"):
        extend_run(world / "run", 9) if command == "extend" else resume(world / "run")
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_is_extended_with_the_learning_rates_that_the_command_says(world):
    result = harken("extend", world / "run", "--steps", "5")
    assert result.code == 0
    rates = [learning_rate_at(step, 5, 1e-2, "cosine", 0.03) for step in range(5)]
    assert f"{rates[2]:.3g} at step 3, then cosine over all 5 steps" in " ".join(result.out.split())
    rows = metric_rows(world / "run")
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["optim/learning_rate"] for row in rows[2:]] == rates[2:]
    assert (
        "after step 2: extended from 2 to 5 steps"
        in dict(run_facts("", read_run_folder(world / "run"))["facts"])["history"]
    )
    resume(world / "run")
    refused = harken("extend", world / "run", "--steps", "5")
    assert refused.code == 2
    assert "has 5 steps already" in refused.err


def test_accept_changes_goes_with_resume_alone(world, tmp_path):
    (tmp_path / "recipe.yaml").write_text(as_yaml(load_run_recipe(world / "run")))
    assert harken("sft", tmp_path / "recipe.yaml", "--accept-changes").code == 2
    change_answers(world)
    assert "--accept-changes, which writes them" in harken("sft", "--resume", world / "run").err
    assert harken("sft", "--resume", world / "run", "--accept-changes").code == 0
