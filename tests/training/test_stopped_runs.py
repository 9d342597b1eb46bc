"""A run that SIGTERM stops anywhere writes a checkpoint, says how to go on, and ends as one that was never stopped."""

import contextlib
import os
import signal

import pytest
from small_runs import LOOPS, differences, metric_rows, quiet_console, read_run, small_recipe
from tiny_models import tiny_folder

import harken.grpo.rewarding
import harken.grpo.step
import harken.inference.decode
import harken.training.open_session
import harken.training.session
import harken.training.sft
from harken.data.demo_set import write_demo_set
from harken.errors import StoppedError
from harken.system.stop_signals import stop_signals

PLACES = {
    "sampling": (harken.inference.decode, "_draw", 2),
    "reference": (harken.grpo.step, "score_with_reference", 3),
    "update": (harken.grpo.step, "update", 3),
    "sft update": (harken.training.sft, "apply_update", 3),
    "development": (harken.training.session, "which_correct", 1),
    "saving": (harken.training.session, "save_checkpoint", 1),
}
"""A function during which the signal comes, and in which call of it."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_demo_set(folder, seed=0, n_train=8, n_test=4)
    return folder / "train.json"


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """loop -> what a run writes that is never stopped."""
    runs = {}

    def run(loop):
        if loop not in runs:
            folder = tmp_path_factory.mktemp(loop) / "run"
            LOOPS[loop](recipe(data), folder, quiet_console())
            runs[loop] = read_run(folder)
        return runs[loop]

    return run


def recipe(data):
    return small_recipe(tiny_folder("qwen2_5_omni"), data, keep_checkpoints=1)


def stop_in(place, loop, data, out, monkeypatch, *, resume=False) -> str:
    """Run until SIGTERM stops the run in `place`. Returns the sentence that the command prints."""
    owner, name, call = PLACES[place]
    original, calls = getattr(owner, name), []

    def stopped(*args, **kwargs):
        calls.append(None)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, stopped)
    with stop_signals(), pytest.raises(StoppedError) as stop:
        LOOPS[loop](recipe(data), out, quiet_console(), resume=resume)
    monkeypatch.setattr(owner, name, original)
    assert stop.value.code == 75
    return stop.value.message


def test_a_run_of_grpo_that_is_stopped_three_times_is_the_run_that_never_was(data, whole, tmp_path, monkeypatch):
    out = tmp_path / "run"
    first = out / "checkpoints" / "step_000002"
    message = stop_in("update", "grpo", data, out, monkeypatch)
    assert message == (
        f"stopped by SIGTERM after step 2. The last whole checkpoint is {first}; go on with: harken train --resume "
        f"{out}  (on any number of ranks)"
    )
    # The signal came before the gradients were complete, so no weight had moved.
    assert [row["step"] for row in metric_rows(out)] == [1, 2]
    assert sorted(folder.name for folder in (out / "checkpoints").glob("step_*")) == ["step_000002"]
    message = stop_in("sampling", "grpo", data, out, monkeypatch, resume=True)
    assert "stopped by SIGTERM after step 2. The last whole checkpoint is" in message
    stop_in("reference", "grpo", data, out, monkeypatch, resume=True)
    assert [row["step"] for row in metric_rows(out)] == [1, 2, 3, 4]
    LOOPS["grpo"](recipe(data), out, quiet_console(), resume=True)
    assert differences(read_run(out), whole("grpo")) == []


@pytest.mark.parametrize(
    ("loop", "place"),
    [
        *(("grpo", place) for place in ("development", "saving")),
        *(("sft", place) for place in ("sft update", "development", "saving")),
    ],
)
@pytest.mark.slow
def test_a_run_that_is_stopped_elsewhere_is_the_run_that_never_was(loop, place, data, whole, tmp_path, monkeypatch):
    out = tmp_path / "run"
    stop_in(place, loop, data, out, monkeypatch)
    with contextlib.suppress(StoppedError):
        LOOPS[loop](recipe(data), out, quiet_console(), resume=True)
    assert differences(read_run(out), whole(loop)) == []


@pytest.mark.parametrize("place", ["check_without_checkpoint", "load_training_data", "open_trackers"])
def test_a_run_that_is_stopped_before_its_first_step_is_to_be_started_again(place, data, tmp_path, monkeypatch):
    monkeypatch.setitem(PLACES, "opening", (harken.training.open_session, place, 1))
    message = stop_in("opening", "sft", data, tmp_path / "run", monkeypatch)
    assert message == "stopped by SIGTERM. Nothing of the run was written yet: start it again"
    assert not (tmp_path / "run").exists()
