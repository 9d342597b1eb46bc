"""Run folders are written whole or not at all, are never shared, and contain no secrets."""

import json
import os
import subprocess

import pytest

from harken.config import Recipe, load_recipe
from harken.errors import ConfigError
from harken.system import environment as environment_module
from harken.system.environment import describe_environment, source_commit
from harken.system.files import replacing, write_json, write_text
from harken.system.json_lines import write_json_lines
from harken.training.run_folder import RunFolder

RECIPE = Recipe.model_validate({"name": "x", "model": {"path": "m"}, "data": {"train": [{"file": "q.json"}]}})


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def write_half(path, inside=None):
    with replacing(path) as temporary:
        if inside:
            temporary.mkdir()
        (temporary / inside if inside else temporary).write_text("half", encoding="utf-8")
        raise InterruptedError


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "deep" / "er" / "f.txt"
    write_text(path, "first")
    write_text(path, "second")
    assert path.read_text(encoding="utf-8") == "second"
    assert [file.name for file in path.parent.iterdir()] == ["f.txt"]


def test_an_error_on_the_way_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "f.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(ZeroDivisionError):
        write_json_lines(path, (1 / n for n in (1, 0)))
    with pytest.raises(InterruptedError):
        write_half(path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["f.json"]


def test_while_a_file_is_written_readers_see_the_old_one(tmp_path):
    path = tmp_path / "f.txt"
    write_text(path, "old")
    with replacing(path) as temporary:
        temporary.write_text("new", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "old"
    assert path.read_text(encoding="utf-8") == "new"


def test_a_folder_is_written_once_and_half_of_one_never_has_its_name(tmp_path):
    path = tmp_path / "step"
    with pytest.raises(InterruptedError):
        write_half(path, "a")
    assert not path.exists()
    with replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "a").write_text("whole", encoding="utf-8")
    with pytest.raises(FileExistsError, match="exists already"), replacing(path) as temporary:
        temporary.mkdir()
    assert (path / "a").read_text(encoding="utf-8") == "whole"
    assert [entry.name for entry in tmp_path.iterdir()] == ["step"]


def test_a_folder_that_holds_anything_is_refused_and_an_empty_one_is_used(tmp_path):
    (tmp_path / "empty").mkdir()
    RunFolder.choose(tmp_path / "empty")
    RunFolder.create(tmp_path / "empty", RECIPE).append_metrics({"step": 1})
    with pytest.raises(ConfigError, match="holds a run already; choose another --out, or remove it"):
        RunFolder.choose(tmp_path / "empty")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=str(tmp_path / "other")):
        RunFolder.choose(tmp_path / "other")
    assert [file.name for file in (tmp_path / "other").iterdir()] == ["thesis.tex"]


def test_the_recipe_is_kept_resolved_and_can_be_run_again(tmp_path):
    run = RunFolder.create(tmp_path / "run", RECIPE)
    assert load_recipe(run.path / "config.yaml") == RECIPE


def test_the_environment_names_versions_and_no_variable(tmp_path, monkeypatch):
    secret = "hf_0123456789secret"
    monkeypatch.setenv("HF_TOKEN", secret)
    monkeypatch.setenv("WANDB_API_KEY", secret)
    run = RunFolder.create(tmp_path / "run", RECIPE)
    text = (run.path / "environment.json").read_text(encoding="utf-8")
    here = json.loads(text)
    assert here["packages"]["torch"]
    assert here["python"]
    assert here["processor"]
    assert secret not in text
    assert "HF_TOKEN" not in text
    assert here.keys() == describe_environment().keys()
    assert not set(os.environ) & set(here)


def test_the_commit_is_that_of_a_checkout_of_harken_and_of_no_other(tmp_path, monkeypatch):
    def git(*words):
        who = ["-c", "user.name=x", "-c", "user.email=x@x.example"]
        return subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True, capture_output=True, text=True)

    source = tmp_path / "source.py"
    source.write_text("1\n")
    monkeypatch.setattr(environment_module, "__file__", str(source))
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "another project's")
    assert source_commit() is None  # installed inside a repository that does not hold it
    git("add", "source.py")
    git("commit", "-q", "-m", "ours")
    head = git("rev-parse", "HEAD").stdout.strip()
    assert source_commit() == head
    source.write_text("2\n")
    assert source_commit() == f"{head}-dirty"
    monkeypatch.setenv("PATH", "")
    assert source_commit() is None  # no git


def test_metrics_and_rollouts_read_back_as_they_were(tmp_path):
    run = RunFolder.create(tmp_path / "run", RECIPE)
    rows = [{"step": step, "reward/mean": step / 3, "note": "a\u2028b\nß"} for step in (1, 2)]
    for row in rows:
        run.append_metrics(row)
    assert lines_of(run.metrics) == rows
    run.write_rollouts(100, rows)
    assert lines_of(run.path / "rollouts" / "step_000100.jsonl") == rows
    with pytest.raises(ValueError, match="not JSON compliant"):
        run.append_metrics({"loss": float("inf")})
    assert lines_of(run.metrics) == rows


def test_checkpoints_are_listed_in_order_of_step(tmp_path):
    run = RunFolder.create(tmp_path / "run", RECIPE)
    assert run.checkpoints() == []
    for step in (100, 20, 3):
        run.checkpoint(step).mkdir(parents=True)
    (run.path / "checkpoints" / ".step_000200.tmp").mkdir()  # half-written
    assert [path.name for path in run.checkpoints()] == ["step_000003", "step_000020", "step_000100"]
