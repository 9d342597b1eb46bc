"""Metric rows are always in metrics.jsonl, and TensorBoard reads back what its tracker wrote."""

import json
import sys
import types

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from harken.config import Recipe
from harken.errors import ConfigError
from harken.training.run_folder import RunFolder
from harken.training.trackers import open_trackers

ROWS = [{"reward/accuracy": 0.25, "loss/kl": 1e-9}, {"reward/accuracy": 0.5, "dev/accuracy": 1.0}]


def opened(folder, *names, start=0):
    values = {"name": "x", "model": {"path": "m"}, "data": {"train": [{"file": "q.json"}]}}
    recipe = Recipe.model_validate({**values, "logging": {"trackers": list(names), "project": "ears"}})
    run = RunFolder.create(folder, recipe)
    return run, open_trackers(run, recipe, start)


def log(trackers):
    for step, row in enumerate(ROWS, start=1):
        for tracker in trackers:
            tracker.log(step, row)
    for tracker in trackers:
        tracker.close()


def test_metrics_jsonl_has_every_step(tmp_path):
    run, trackers = opened(tmp_path / "run")
    log(trackers)
    found = [json.loads(line) for line in run.metrics.read_text(encoding="utf-8").splitlines()]
    assert found == [{"step": step, **row} for step, row in enumerate(ROWS, start=1)]
    assert len(trackers) == 1


def test_tensorboard_reads_every_figure_back(tmp_path):
    run, trackers = opened(tmp_path / "run", "tensorboard")
    log(trackers)
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    assert sorted(events.Tags()["scalars"]) == ["dev/accuracy", "loss/kl", "reward/accuracy"]
    assert [(event.step, event.value) for event in events.Scalars("reward/accuracy")] == [(1, 0.25), (2, 0.5)]
    assert [event.step for event in events.Scalars("dev/accuracy")] == [2]
    assert events.Scalars("loss/kl")[0].value == pytest.approx(1e-9)
    assert run.metrics.exists()


@pytest.mark.parametrize("library", ["tensorboard", "wandb", "trackio"])
def test_a_library_that_is_not_installed_is_an_error_with_the_command_that_installs_it(tmp_path, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=rf"logging\.trackers: {library} is not installed") as caught:
        opened(tmp_path / "run", library)
    assert f"pip install 'harken[{library}]'" in str(caught.value)


@pytest.mark.parametrize("library", ["wandb", "trackio"])
def test_services_get_the_run_its_settings_and_every_row(tmp_path, monkeypatch, library):
    """A hand-made library has the functions of both; nothing is sent anywhere."""
    calls = []
    service = types.ModuleType(library)
    for name in ("init", "log", "finish"):
        setattr(service, name, lambda *given, _name=name, **named: calls.append((_name, given, named)))
    monkeypatch.setitem(sys.modules, library, service)
    _, trackers = opened(tmp_path / "listening", library)
    log(trackers)
    assert [name for name, _, _ in calls] == ["init", "log", "log", "finish"]
    assert calls[0][2]["project"] == "ears"
    assert calls[0][2]["name"] == "listening"
    assert calls[0][2]["config"]["model"]["path"] == "m"
    assert calls[1:3] == [("log", (ROWS[0],), {"step": 1}), ("log", (ROWS[1],), {"step": 2})]
