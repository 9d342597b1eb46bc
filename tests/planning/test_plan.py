"""What `harken plan` prints, which changes to a recipe it finds, and that a run that does not fit is refused."""

import io

import pytest
import torch
import yaml
from rich.console import Console
from typer.testing import CliRunner

import harken.config
import harken.planning.plan
from harken.cli.app import app
from harken.config import Recipe
from harken.errors import CheckpointError, ConfigError
from harken.planning.memory_items import GIB, RESERVE
from harken.planning.plan import check, print_plan
from harken.planning.shapes import PUBLISHED, shape_of
from harken.planning.step_sizes import sizes_that_fit
from harken.planning.ways_to_fit import plan_of, ways_to_fit

OMNI_7B = next(iter(PUBLISHED))


def recipe() -> Recipe:
    values = {"name": "x", "model": {"path": OMNI_7B}, "data": {"train": [{"file": "q"}]}}
    return Recipe.model_validate(values)


def test_every_way_named_fits_and_is_a_recipe_and_the_default_does_not_fit():
    plan, shape = recipe(), shape_of(OMNI_7B)
    card = 48 * GIB
    assert plan_of(plan, plan.grpo, shape).peak + RESERVE > card
    ways = ways_to_fit(plan, shape, card)
    assert ways
    for way in ways:
        values = plan.model_dump(mode="json")
        for words in str(way).split("--set ")[1:]:
            harken.config.apply_override(values, words.strip().replace("'", ""))
        changed = Recipe.model_validate(values)
        assert plan_of(changed, changed.grpo, shape).peak == way.peak <= card - RESERVE
    assert ways_to_fit(plan, shape, 200 * GIB)[0].changes == {}
    small = ways_to_fit(plan, shape, 24 * GIB)
    assert small
    assert all("model.lora" in way.changes or "memory.optimizer" in way.changes for way in small)
    assert ways_to_fit(plan, shape, 8 * GIB) == []


def test_training_is_refused_before_loading_with_the_settings_that_fit(monkeypatch):
    plan, shape = recipe(), shape_of(OMNI_7B)
    with pytest.raises(ConfigError) as caught:
        check(plan, plan.grpo, shape, 48 * GIB)
    assert str(caught.value).startswith("not enough memory: about ")
    assert "48.0 GiB are free (`harken plan` prints what needs them)" in str(caught.value)
    assert "--set memory.reference=streamed" in str(caught.value)
    check(plan, plan.grpo, shape, 200 * GIB)
    with pytest.raises(ConfigError, match="not enough memory"):
        check(plan, plan.sft, shape, 48 * GIB)
    # The same for a card, whose free memory is made up here.
    monkeypatch.setattr(harken.planning.plan, "pick_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (48 * GIB, 80 * GIB))
    with pytest.raises(ConfigError, match=r"48\.0 GiB are free"):
        harken.planning.plan.refuse_what_does_not_fit(plan, plan.grpo)


def test_plan_prints_what_needs_memory_and_what_would_fit(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    file = tmp_path / "r.yaml"
    file.write_text(yaml.safe_dump(recipe().model_dump(mode="json")))
    printed = io.StringIO()
    assert not print_plan(recipe(), 48, 1, 10.0, Console(file=printed, width=160))
    for word in ("weights", "gradients", "optimizer", "reference", "activations", "logits", "keys and values", "cache"):
        assert word in printed.getvalue()
    assert "does not fit a card of 48 GiB" in printed.getvalue()
    assert "\nfits, " in printed.getvalue()
    run = CliRunner().invoke(app, ["plan", str(file), "--gpu-memory", "48"])
    assert run.exit_code == 1
    run = CliRunner().invoke(app, ["plan", str(file), "--gpu-memory", "80", "--gpus", "8"])
    assert run.exit_code == 0, run.output


def test_an_engine_of_its_own_takes_the_language_model_once_more_and_its_cache():
    values = recipe().model_dump(mode="json")
    values["model"]["precision"] = "bf16_mixed"
    values["grpo"]["rollout"] = {"engine": "vllm", "kv_cache_gib": 10}
    plan, shape = Recipe.model_validate(values), shape_of(OMNI_7B)
    (engine,) = plan_of(plan, plan.grpo, shape).rollout
    assert engine.device == 2 * shape.language + 10 * GIB
    assert sizes_that_fit(plan, plan.grpo, shape, 400 * GIB).rollout_tokens is None


def test_a_plan_for_no_checkpoint_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="nowhere"):
        shape_of(str(tmp_path / "nowhere"))
