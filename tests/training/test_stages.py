"""Between stages nothing that was trained is rounded away: a later run, an adapter's base and an export."""

import json

import pytest
import torch
from command_line import harken
from small_runs import quiet_console
from stages import TINY_RATE, exact_policy, parameters_of, published_base, stage

from harken.config import ModelConfig
from harken.data.demo_set import write_demo_set
from harken.models.loading import load_model
from harken.models.policy import load_policy_exactly
from harken.training.sft import sft

MEMORY = {
    "float32": {},
    "frozen in bfloat16": {"frozen_dtype": "bfloat16"},
    "corrected": {"weights": "bf16_corrected"},
    "corrected and offloaded": {"weights": "bf16_corrected", "optimizer": "offloaded"},
    "offloaded": {"optimizer": "offloaded"},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_demo_set(folder, seed=0, n_train=8, n_test=4)
    return folder / "train.json"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A checkpoint in bfloat16, as published ones are."""
    return published_base(tmp_path_factory.mktemp("base"))


def test_what_a_full_stage_changed_is_kept_exactly_in_every_mode_of_the_next_stage(base, data, tmp_path):
    sft(stage(base, data), tmp_path / "first", quiet_console())
    first, before = parameters_of(tmp_path / "first"), parameters_of(base)
    assert sum(int((first[name] != before[name]).sum()) for name in first) > 1000
    assert any(not torch.equal(weight, weight.bfloat16().float()) for weight in first.values())
    for name, memory in MEMORY.items():
        exact = exact_policy(stage(tmp_path / "first", data, **memory))
        assert len(exact) > 50
        assert all(torch.equal(weight, first[key]) for key, weight in exact.items()), name


def test_what_a_lora_stage_changed_is_kept_exactly_in_the_next_stage(base, data, tmp_path):
    sft(stage(base, data, lora=True), tmp_path / "first", quiet_console())
    merged = parameters_of(tmp_path / "first")
    for name, memory in MEMORY.items():
        exact = exact_policy(stage(tmp_path / "first", data, **memory))
        assert all(torch.equal(weight, merged[key]) for key, weight in exact.items()), name
    # A second adapter over the first, with the base's weights in bfloat16. Its steps are too small to change anything.
    second = stage(tmp_path / "first", data, TINY_RATE, lora=True, frozen_dtype="bfloat16")
    sft(second, tmp_path / "second", quiet_console())
    again = parameters_of(tmp_path / "second")
    assert all((weight - merged[key]).abs().max() < 1e-25 for key, weight in again.items())


@pytest.mark.parametrize("mode", ["corrected", "corrected and offloaded"])
def test_a_stage_in_corrected_bfloat16_starts_from_every_bit_and_saves_every_bit(mode, base, data, tmp_path):
    sft(stage(base, data), tmp_path / "first", quiet_console())
    recipe = stage(tmp_path / "first", data, TINY_RATE, **MEMORY[mode])
    sft(recipe, tmp_path / "second", quiet_console())
    first, second = parameters_of(tmp_path / "first"), parameters_of(tmp_path / "second")
    assert all((first[name] - second[name]).abs().max() < 1e-25 for name in first)
    newest = sorted((tmp_path / "second" / "checkpoints").glob("step_*"))[-1]
    assert json.loads((newest / "config.json").read_text())["dtype"] == "float32"


def test_a_run_in_stochastic_bfloat16_says_that_it_rounds_a_finer_checkpoint(base, data, tmp_path):
    lines = []
    config = ModelConfig(path=str(base), device="cpu", precision="bf16_mixed")
    load_policy_exactly(config, "bf16_stochastic", warn=lines.append)
    assert lines == []
    sft(stage(base, data), tmp_path / "first", quiet_console())
    config = config.model_copy(update={"path": str(tmp_path / "first")})
    load_policy_exactly(config, "bf16_stochastic", warn=lines.append)
    assert len(lines) == 1
    assert "at random; bf16_corrected keeps them" in lines[0]


@pytest.mark.parametrize("lora", [False, True])
def test_an_export_prints_what_rounding_loses(lora, base, data, tmp_path):
    sft(stage(base, data, 1e-5, lora=lora), tmp_path / "run", quiet_console())
    result = harken("export", tmp_path / "run", "--out", tmp_path / "out")
    before, after = parameters_of(base), parameters_of(tmp_path / "run")
    written = parameters_of(tmp_path / "out")
    moved = sum(int((after[k] != before[k]).sum()) for k in after)
    returned = sum(int(((after[k] != before[k]) & (written[k] == before[k])).sum()) for k in after)
    change = torch.cat([(after[k].double() - before[k].double()).flatten() for k in after])
    error = torch.cat([(written[k].double() - after[k].double()).flatten() for k in after])
    assert returned / moved > 0.05
    text = " ".join((result.out + result.err).split())
    assert f"rounding returned {returned / moved:.1%} of {moved} changed weights" in text
    assert f"relative error of the change {float(error.norm() / change.norm()):.1%}" in text
    assert "--dtype float32 keeps what was trained" in text
    stated = [json.loads((folder / "config.json").read_text())["dtype"] for folder in (tmp_path / "out", base)]
    assert stated[0] == stated[1]

    whole = harken("export", tmp_path / "run", "--out", tmp_path / "whole", "--dtype", "float32")
    assert "nothing of what was trained was rounded" in " ".join(whole.out.split())
    assert all(torch.equal(weight, after[k]) for k, weight in parameters_of(tmp_path / "whole").items())
    assert json.loads((tmp_path / "whole" / "config.json").read_text())["dtype"] == "float32"


def test_casting_an_adapted_model_gives_the_types_of_one_loaded_in_bfloat16(base, data, tmp_path):
    sft(stage(base, data, lora=True), tmp_path / "run", quiet_console())
    merged, plain = (
        load_model(str(path), dtype=torch.bfloat16, device="cpu").module for path in (tmp_path / "run", base)
    )
    types = [{name: t.dtype for name, t in (*m.named_parameters(), *m.named_buffers())} for m in (merged, plain)]
    assert types[0] == types[1]
