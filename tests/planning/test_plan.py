"""What `harken plan` prints, which changes to a recipe it finds, and that a run that does not fit is refused."""

import dataclasses
import io

import pytest
import torch
import yaml
from rich.console import Console
from typer.testing import CliRunner

import harken.config
import harken.planning.plan
from harken.cli.app import app
from harken.config import Recipe, load_recipe
from harken.config.builtin_recipes import builtin_recipes
from harken.errors import CheckpointError, ConfigError
from harken.planning.cards import CARDS
from harken.planning.largest_sizes import tokens_that_fit
from harken.planning.memory import plan_memory
from harken.planning.memory_items import GIB, RESERVE
from harken.planning.plan import check, print_plan
from harken.planning.published_models import PUBLISHED
from harken.planning.shapes import shape_of
from harken.planning.step_sizes import sizes_that_fit
from harken.planning.ways_to_fit import GRADIENT_BITS, PRECISION, plan_of, planned_run, step_seconds, ways_to_fit

OMNI_7B = next(iter(PUBLISHED))
A6000 = CARDS["a6000"]


def recipe() -> Recipe:
    values = {"name": "x", "model": {"path": OMNI_7B}, "data": {"train": [{"file": "q"}]}}
    return Recipe.model_validate(values)


def test_every_way_named_fits_and_is_a_recipe_and_the_default_does_not_fit():
    plan, shape = recipe(), shape_of(OMNI_7B)
    card = 48 * GIB
    assert plan_of(plan, plan.grpo, shape).peak + RESERVE > card
    ways = ways_to_fit(plan, shape, A6000, card)
    assert ways
    assert [way.step_s for way in ways] == sorted(way.step_s for way in ways)
    for way in ways:
        values = plan.model_dump(mode="json")
        for words in str(way).split("--set ")[1:]:
            harken.config.apply_override(values, words.strip().replace("'", ""))
        changed = Recipe.model_validate(values)
        assert plan_of(changed, changed.grpo, shape).peak == way.peak <= card - RESERVE
    small = ways_to_fit(plan, shape, A6000, 24 * GIB)
    assert small
    assert all("model.lora" in way.changes or "memory.optimizer" in way.changes for way in small)
    assert ways_to_fit(plan, shape, A6000, 8 * GIB) == []


def test_no_known_change_that_fits_and_gives_up_no_more_is_faster():
    plan, shape, card = recipe(), shape_of(OMNI_7B), 80 * GIB
    ways = {way.gives_up: way for way in ways_to_fit(plan, shape, CARDS["h100"], card)}
    others = {
        GRADIENT_BITS: ["memory.weights=bf16_corrected memory.optimizer=offloaded memory.reference=streamed"],
        PRECISION: [
            "memory.weights=bf16_stochastic memory.optimizer=adamw_8bit model.gradient_checkpointing=true",
            "memory.weights=bf16_corrected memory.optimizer=adamw_8bit memory.reference=int8",
        ],
    }
    for gives_up, changes in others.items():
        for words in changes:
            values = plan.model_dump(mode="json")
            for word in ["model.precision=bf16_mixed", *words.split()]:
                harken.config.apply_override(values, word)
            changed = Recipe.model_validate(values)
            if plan_of(changed, changed.grpo, shape).peak + RESERVE <= card:
                assert ways[gives_up].step_s <= step_seconds(changed, shape, CARDS["h100"], card) * 1.0001


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
    assert not print_plan(recipe(), A6000, 48, 1, 10.0, Console(file=printed, width=160))
    for word in ("weights", "gradients", "optimizer", "reference", "activations", "logits", "keys and values", "cache"):
        assert word in printed.getvalue()
    assert "does not fit a card of 48 GiB" in printed.getvalue()
    assert "\nfits, " in printed.getvalue()
    run = CliRunner().invoke(app, ["plan", str(file), "--gpu-memory", "48"])
    assert run.exit_code == 1
    run = CliRunner().invoke(app, ["plan", str(file), "--card", "h100", "--gpus", "8"])
    assert run.exit_code == 0, run.output
    assert "GPU hours" in run.output
    assert "up to" not in run.output
    more = ["--set", "grpo.resample_equal_groups=2", "--set", "reward.parts=[{name: accuracy}, {name: listening}]"]
    run = CliRunner().invoke(app, ["plan", str(file), "--card", "h100", "--gpus", "8", *more])
    times = run.output.partition("by arithmetic")[2]
    rows = [line.split("│")[1:4] for line in times.splitlines() if line.startswith("│")]
    costs = {name.strip(): float(cost) for name, cost, _ in rows if cost.strip()}
    assert list(costs)[-3:] == ["a step", "resampling, up to", "a step, up to"]
    assert costs["a step, up to"] == pytest.approx(costs["a step"] + costs["resampling, up to"], abs=0.011)
    assert costs["resampling, up to"] == pytest.approx(
        2 * (costs["encode and prefill"] + costs["decode"] + costs["without the clip"]), abs=0.031
    )
    for options, says in (
        ([], "give --gpu-memory"),
        (["--card", "b52"], "known are a6000"),
        (["--measure"], "no CUDA"),
    ):
        run = CliRunner().invoke(app, ["plan", str(file), *options])
        assert isinstance(run.exception, ConfigError) or says in run.output
        assert says in str(run.exception) + run.output


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


@pytest.mark.parametrize("gib", [1, 225, 240, 260, 300, 400])
def test_the_largest_micro_batch_is_that_of_a_search_through_all_and_that_of_any_step_is_found_at_once(gib):
    shape = shape_of("Qwen/Qwen2.5-Omni-7B")

    def run(prompts):
        changed = recipe().model_copy(update={"grpo": recipe().grpo.model_copy(update={"prompts_per_step": prompts})})
        return planned_run(changed, changed.grpo, shape)

    def peak(prompts):
        settings = run(24).settings.model_copy(update={"tokens_per_micro_batch": prompts * run(24).packed_tokens})
        return plan_memory(dataclasses.replace(run(24), settings=settings)).peak + RESERVE

    fitting = [prompts for prompts in range(1, 25) if peak(prompts) <= gib * GIB] or [1]
    assert tokens_that_fit(run(24), gib * GIB) == fitting[-1] * run(24).packed_tokens
    assert tokens_that_fit(run(2**31), gib * GIB) >= run(24).packed_tokens


def test_the_shape_of_a_mixture_of_experts_counts_what_a_token_passes_through():
    """Qwen3-30B-A3B: 48 blocks of 128 experts, each of three matrices of 768 x 2,048, of which a token takes 8."""
    shape = shape_of("Qwen/Qwen3-Omni-30B-A3B-Instruct")
    attention = 2048 * 4096 * 2 + 2048 * 512 * 2 + 2 * 128
    expert = 3 * 768 * 2048
    outside = attention + 2 * 2048 + 128 * 2048
    assert shape.expert_blocks == 48 * 128 * expert
    assert shape.router == 48 * 128 * 2048
    assert shape.active_blocks == 48 * (outside + 8 * expert)
    assert shape.language == 48 * (outside + 128 * expert) + 2 * 152_064 * 2048 + 2048  # 30.5 B
    assert shape.tower_blocks == shape_of(OMNI_7B).tower_blocks + 32 * 1280  # its keys have a bias
    assert shape.projector == 1280 * 2048 + 2048
    assert (shape.tokens_per_s, shape.positions_per_s) == (13, 13)
    assert shape.used_experts(1) == shape.expert_blocks // 16
    assert 0.99 < shape.used_experts(128) / shape.expert_blocks < 1


def test_the_recipes_of_qwen3_omni_fit_the_cards_that_they_name():
    for name, gpus in (("qwen3_omni_avqa", 8), ("qwen3_omni_avqa_lora", 1)):
        recipe = load_recipe(builtin_recipes()[name])
        plan = plan_of(recipe, recipe.grpo, shape_of(recipe.model.path), gpus=gpus)
        assert plan.peak < 78 * 2**30


def test_a_clip_takes_whole_windows_of_voxtral_and_as_much_as_it_needs_of_other_towers():
    voxtral = shape_of("mistralai/Voxtral-Mini-3B-2507")
    assert (voxtral.window_s, voxtral.tokens_per_s, voxtral.positions_per_s) == (30, 12.5, 50)
    assert [voxtral.heard_s(seconds) for seconds in (0.1, 10, 30, 30.1, 70)] == [30, 30, 30, 60, 90]
    one_window = dataclasses.replace(voxtral, fills_windows=False)
    assert [one_window.heard_s(seconds) for seconds in (10, 30, 70)] == [10, 30, 30]
    assert dataclasses.replace(one_window, window_s=None).heard_s(70) == 70
    recipe = load_recipe(builtin_recipes()["voxtral_avqa"])
    run = planned_run(recipe, recipe.grpo, voxtral)
    assert (run.prompt_tokens, run.audio_positions) == (70 + 375, 1500)
    assert plan_of(recipe, recipe.grpo, voxtral).peak + RESERVE < 16 * GIB
