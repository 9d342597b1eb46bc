"""Checkpoints: a resumed run equals one that never stopped, and no failure loses a checkpoint."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from interrupted_runs import run_until
from small_runs import (
    LOOPS,
    STEPS,
    differences,
    file_names,
    metric_rows,
    no_file_larger_than,
    quiet_console,
    read_run,
    small_recipe,
)
from tiny_models import tiny_folder

import harken.grpo.loop
from harken.config import Recipe
from harken.data.demo_set import write_demo_set
from harken.errors import CheckpointError, ConfigError, HarkenError
from harken.models.loading import load_model
from harken.system.files import replacing
from harken.training.checkpoint import remove_old_checkpoints, restore_checkpoint, save_checkpoint
from harken.training.optimizer import build_optimizer
from harken.training.run_folder import RunFolder

RECIPE = Recipe.model_validate({"name": "x", "model": {"path": "m"}, "data": {"train": [{"file": "q.json"}]}})


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_demo_set(folder, seed=0, n_train=8, n_test=4)
    return folder / "train.json"


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> dict[str, Path]:
    """Runs that were never interrupted."""
    runs = {loop: tmp_path_factory.mktemp("whole") / loop for loop in LOOPS}
    for loop, run in runs.items():
        LOOPS[loop](small_recipe(tiny_folder("qwen2_5_omni"), data), run, quiet_console())
    return runs


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("after", [2, 3, 4, 5])
def test_a_resumed_run_writes_what_an_uninterrupted_one_writes(loop, after, whole, data, tmp_path, monkeypatch):
    out, plan = tmp_path / "run", small_recipe(tiny_folder("qwen2_5_omni"), data)
    run_until(loop, plan, out, after, monkeypatch, half_row=after == 5)
    assert len((out / "metrics.jsonl").read_bytes().split(b"\n")) == after + 1
    LOOPS[loop](plan, out, quiet_console(), resume=True)
    assert differences(read_run(out), read_run(whole[loop])) == []
    assert [row["step"] for row in metric_rows(out)] == [1, 2, 3, 4, 5, 6]
    assert len(metric_rows(out)[0]) > 2


def test_random_states_are_restored_for_a_reward_that_draws_from_them(data, tmp_path, monkeypatch):
    values = small_recipe(tiny_folder("qwen2_audio"), data).model_dump()
    plan = Recipe.model_validate(values | {"reward": {"parts": [{"name": "small_runs:reward_at_random"}]}})
    LOOPS["grpo"](plan, tmp_path / "whole", quiet_console())
    run_until("grpo", plan, tmp_path / "run", 3, monkeypatch)
    LOOPS["grpo"](plan, tmp_path / "run", quiet_console(), resume=True)
    assert differences(read_run(tmp_path / "run"), read_run(tmp_path / "whole")) == []
    states = [
        torch.load(tmp_path / "run" / "checkpoints" / f"step_{step:06d}" / "trainer" / "random.pt", weights_only=True)
        for step in (4, 6)
    ]
    assert not torch.equal(states[0]["cpu"], states[1]["cpu"])  # the reward drew


def test_a_run_interrupted_twice_and_before_its_first_checkpoint(whole, data, tmp_path, monkeypatch):
    out, plan = tmp_path / "run", small_recipe(tiny_folder("qwen2_5_omni"), data)
    run_until("grpo", plan, out, 1, monkeypatch)
    assert not (out / "checkpoints").exists()
    run_until("grpo", plan, out, 5, monkeypatch, resume=True)
    assert [row["step"] for row in metric_rows(out)] == [1, 2, 3, 4, 5]
    harken.grpo.loop.train(plan, out, quiet_console(), resume=True)
    assert differences(read_run(out), read_run(whole["grpo"])) == []


@pytest.mark.parametrize("loop", LOOPS)
def test_resuming_a_finished_run_changes_nothing(loop, whole, data, tmp_path):
    out = shutil.copytree(whole[loop], tmp_path / "run")
    last = LOOPS[loop](small_recipe(tiny_folder("qwen2_5_omni"), data), out, quiet_console(), resume=True)
    assert last == out / "checkpoints" / f"step_{STEPS:06d}"
    assert differences(read_run(out), read_run(whole[loop])) == []


def test_a_warm_start_that_stopped_at_its_accuracy_stays_stopped(data, tmp_path):
    plan = small_recipe(tiny_folder("qwen2_5_omni"), data, evaluate_every=2)
    plan = plan.model_copy(update={"sft": plan.sft.model_copy(update={"stop_at_dev_accuracy": 0.0})})
    LOOPS["sft"](plan, tmp_path / "run", quiet_console())
    before = read_run(tmp_path / "run")
    assert [row["step"] for row in metric_rows(tmp_path / "run")] == [1, 2]
    last = LOOPS["sft"](plan, tmp_path / "run", quiet_console(), resume=True)
    assert last.name == "step_000002"
    assert differences(read_run(tmp_path / "run"), before) == []


def test_temporary_files_of_a_killed_process_are_removed(whole, data, tmp_path):
    out = shutil.copytree(whole["sft"], tmp_path / "run")
    for name in (".metrics.jsonl.tmp", "rollouts/.step_000003.jsonl.tmp", "checkpoints/.best.json.tmp"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("half")
    for name in (".step_000002.tmp", ".step_000008.tmp"):
        (out / "checkpoints" / name / "trainer").mkdir(parents=True)
    (out / "environment.json").unlink()
    shutil.copytree(out / "checkpoints" / "step_000004", out / "checkpoints" / "step_000001")  # not yet removed
    LOOPS["sft"](small_recipe(tiny_folder("qwen2_5_omni"), data), out, quiet_console(), resume=True)
    (out / "rollouts").rmdir()
    assert file_names(out) == file_names(whole["sft"])


def checkpoints_after(scores: dict[int, float], keep: int, tmp_path: Path) -> tuple[list[int], dict | None]:
    """(kept steps, best.json) of a run with a checkpoint and a development accuracy at each step."""
    run = RunFolder.create(tmp_path / "run", RECIPE)
    for step, accuracy in scores.items():
        run.append_metrics({"step": step, "dev/accuracy": accuracy} if accuracy is not None else {"step": step})
        with replacing(run.checkpoint(step)) as folder:
            folder.mkdir()
        remove_old_checkpoints(run, keep)
    best = run.path / "checkpoints" / "best.json"
    kept = [int(folder.name.removeprefix("step_")) for folder in run.checkpoints()]
    assert len(list((run.path / "checkpoints").iterdir())) == len(kept) + best.exists()
    return kept, json.loads(best.read_text()) if best.exists() else None


@pytest.mark.parametrize(
    ("scores", "keep", "kept", "best"),
    [
        ({1: 0.5, 2: 0.7, 3: 0.6, 4: 0.6, 5: 0.1}, 2, [2, 4, 5], 2),
        ({1: 0.5, 2: 0.7, 3: 0.7, 4: 0.6, 5: 0.7}, 1, [2, 5], 2),  # of equals the earliest
        ({1: 0.5, 2: 0.7, 3: 0.8, 4: 0.6, 5: 0.6}, 2, [3, 4, 5], 3),  # 2 was the best for a while
        ({1: 0.1, 2: 0.2, 3: 0.3}, 2, [2, 3], 3),
        ({1: None, 2: None, 3: None}, 2, [2, 3], None),
        ({1: None, 2: 0.0, 3: None, 4: None}, 1, [2, 4], 2),
        ({9: 0.4, 1000000: 0.3, 999999: 0.2}, 1, [9, 1000000], 9),  # by number, not by letter
    ],
)
def test_the_newest_and_the_best_on_the_development_part_are_kept(scores, keep, kept, best, tmp_path):
    found, named = checkpoints_after(scores, keep, tmp_path)
    assert found == kept
    assert named == (None if best is None else {"step": best, "dev/accuracy": scores[best]})


def test_metric_rows_are_read_whole_whatever_is_in_them_or_after_them(tmp_path):
    run = RunFolder.create(tmp_path / "run", RECIPE)
    rows = [{"step": step, "note": "a\u2028b\x85c"} for step in (1, 2, 3)]
    for row in rows:
        run.append_metrics(row)
    with run.metrics.open("ab") as file:
        file.write('{"step": 4, "note": "ß'.encode()[:-1])
    assert run.metric_rows() == rows
    run.remove_rows_after(2)
    assert run.metrics.read_text(encoding="utf-8").count("\n") == 2
    assert run.metric_rows() == rows[:2]


def part(folder, name):
    return folder / "trainer" / f"{name}.pt"


def swapped(folder):
    """The state of an optimizer with as many parameters, two of which are exchanged."""
    state = torch.load(part(folder, "optimizer"), weights_only=True)
    values = state["state"]
    first = next(i for i in values if values[i]["exp_avg"].shape != values[0]["exp_avg"].shape)
    values[0], values[first] = values[first], values[0]
    torch.save(state, part(folder, "optimizer"))


def fewer(folder):
    state = torch.load(part(folder, "optimizer"), weights_only=True)
    state["param_groups"][0]["params"].pop()
    torch.save(state, part(folder, "optimizer"))


def cut(file, share=0.5):
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])


SPOILT = {
    "no state": (lambda f: (f / "trainer" / "state.json").unlink(), "only checkpoints of a run can be resumed"),
    "no trainer": (lambda f: shutil.rmtree(f / "trainer"), "only checkpoints of a run can be resumed"),
    "half a state": (lambda f: (f / "trainer" / "state.json").write_text('{"st'), "damaged"),
    "a state without a step": (lambda f: (f / "trainer" / "state.json").write_text("{}"), "damaged"),
    "another step": (lambda f: (f / "trainer" / "state.json").write_text('{"step": 3}'), "the state of step 3"),
    "no optimizer": (lambda f: part(f, "optimizer").unlink(), "damaged"),
    "half an optimizer": (lambda f: cut(part(f, "optimizer")), "damaged"),
    "an empty optimizer": (lambda f: cut(part(f, "optimizer"), 0), "damaged"),
    "no optimizer's state": (lambda f: torch.save({"a": 1}, part(f, "optimizer")), "of other parameters"),
    "fewer parameters": (fewer, "of other parameters"),
    "other parameters": (swapped, "of other parameters"),
    "half the random states": (lambda f: cut(part(f, "random")), "damaged"),
    "other random states": (lambda f: torch.save({"cpu": torch.zeros(3)}, part(f, "random")), "damaged"),
    "half the weights": (lambda f: cut(f / "model.safetensors"), "cannot be loaded"),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_an_incomplete_or_foreign_checkpoint_is_an_error_that_names_it(kind, whole, data, tmp_path):
    out = shutil.copytree(whole["sft"], tmp_path / "run")
    folder = out / "checkpoints" / "step_000006"
    spoil, says = SPOILT[kind]
    spoil(folder)
    with pytest.raises(CheckpointError, match=says) as caught:
        LOOPS["sft"](small_recipe(tiny_folder("qwen2_5_omni"), data), out, quiet_console(), resume=True)
    assert str(folder) in str(caught.value)
    if says == "damaged":
        assert f"remove {folder} to go on from the checkpoint before it" in str(caught.value)
    if kind == "half an optimizer":
        shutil.rmtree(folder)
        LOOPS["sft"](small_recipe(tiny_folder("qwen2_5_omni"), data), out, quiet_console(), resume=True)
        assert differences(read_run(out)["step_000006"], read_run(whole["sft"])["step_000006"]) == []


def test_code_inside_a_checkpoint_is_not_run(whole, tmp_path):
    import pickle  # what a stranger's checkpoint may hold

    class Touch:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "touched",))

    folder = shutil.copytree(whole["sft"] / "checkpoints" / "step_000006", tmp_path / "step_000006")
    part(folder, "random").write_bytes(pickle.dumps(Touch(), protocol=2))
    with pytest.raises(CheckpointError, match="damaged"):
        restore_checkpoint(folder, *fresh())
    assert not (tmp_path / "touched").exists()


def fresh(arch="qwen2_5_omni"):
    model = load_model(str(tiny_folder(arch)), device="cpu")
    model.set_trainable(audio_tower=True, projector=True, language_model=True)
    return model, build_optimizer(model.module, learning_rate=1e-3, betas=(0.9, 0.99), weight_decay=0.0)


def test_a_checkpoint_of_another_model_is_an_error(whole):
    folder = whole["sft"] / "checkpoints" / "step_000006"
    with pytest.raises(CheckpointError, match=f"{folder}: has no .* of the model's shape"):
        restore_checkpoint(folder, *fresh("qwen2_audio"))


def test_a_folder_without_a_run_cannot_be_resumed(data, tmp_path):
    with pytest.raises(ConfigError, match=r"no config\.yaml; --resume takes the folder of a run"):
        harken.grpo.loop.train(small_recipe(tiny_folder("qwen2_5_omni"), data), tmp_path, quiet_console(), resume=True)


LIMITS = {"config": 1_000, "weights": 1_000_000, "optimizer": 4_000_000, "nothing": 10**9}
"""The largest file that is allowed. The tiny thinker's weights are 3.3 MB, its optimizer state is twice that."""


@pytest.mark.parametrize("stops_at", LIMITS)
def test_a_full_disk_leaves_the_last_good_checkpoint_and_says_so(stops_at, tmp_path):
    run, (model, optimizer) = RunFolder.create(tmp_path / "run", RECIPE), fresh()
    sum(parameter.sum() for parameter in model.module.parameters() if parameter.requires_grad).backward()
    optimizer.step()
    with no_file_larger_than(LIMITS[stops_at]):
        if stops_at == "nothing":
            save_checkpoint(run, 1, model, optimizer, keep=1)
            return
        with pytest.raises(CheckpointError, match="There is no checkpoint yet"):
            save_checkpoint(run, 1, model, optimizer, keep=1)
    save_checkpoint(run, 1, model, optimizer, keep=1)
    before = left_by_checkpoint(run.checkpoint(1))
    with no_file_larger_than(LIMITS[stops_at]), pytest.raises(CheckpointError) as caught:
        save_checkpoint(run, 2, model, optimizer, keep=1)
    assert str(caught.value).startswith(f"{run.checkpoint(2)}: cannot be written; is the disk full? (")
    assert f"The last whole checkpoint is {run.checkpoint(1)}. Make room" in str(caught.value)
    assert f"--resume {run.path}" in str(caught.value)
    assert [entry.name for entry in (run.path / "checkpoints").iterdir()] == ["step_000001"]
    assert left_by_checkpoint(run.checkpoint(1)) == before
    restore_checkpoint(run.checkpoint(1), *fresh())


def left_by_checkpoint(folder):
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_run_whose_disk_was_full_goes_on_as_if_it_never_had_been(whole, data, tmp_path, monkeypatch):
    out, plan = tmp_path / "run", small_recipe(tiny_folder("qwen2_5_omni"), data)
    run_until("grpo", plan, out, 3, monkeypatch)
    with no_file_larger_than(1_000_000), pytest.raises(CheckpointError, match="step_000004: cannot be written"):
        harken.grpo.loop.train(plan, out, quiet_console(), resume=True)
    assert [row["step"] for row in metric_rows(out)] == [1, 2, 3, 4]
    harken.grpo.loop.train(plan, out, quiet_console(), resume=True)
    assert differences(read_run(out), read_run(whole["grpo"])) == []


def test_a_metric_row_or_rollouts_that_cannot_be_written_are_an_error_that_names_the_file(tmp_path):
    run = RunFolder.create(tmp_path / "run", RECIPE)
    run.append_metrics({"step": 1})
    with no_file_larger_than(20):
        with pytest.raises(HarkenError, match=r"metrics\.jsonl: File too large\. Make room, then"):
            run.append_metrics({"step": 2, "reward/mean": 0.5})
        with pytest.raises(OSError, match=r"File too large: .*step_000002\.jsonl"):
            run.write_rollouts(2, [{"completion": "x" * 100}])
    assert run.metric_rows() == [{"step": 1}]
    assert list((run.path / "rollouts").iterdir()) == []
