"""Memory modes: each is exact in what it keeps, and a recipe that needs what a mode drops is refused."""

import io
import re
import shutil

import pytest
import torch
import yaml
from rich.console import Console
from small_optimizers import largest_difference, optimizer_of, small_network
from small_runs import differences, metric_rows, quiet_console, read_run, small_recipe
from tiny_models import make_prompt, speaking, tiny_folder, tiny_model, two_prompts

from harken.config import ModelConfig, Recipe, load_recipe
from harken.data.demo_set import write_demo_set
from harken.errors import CheckpointError, ConfigError
from harken.grpo.loop import train
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.models.policy import load_policy
from harken.system.random import uniforms
from harken.training.checkpoint import restore_checkpoint, save_checkpoint
from harken.training.optimizer import apply_update, build_optimizer, set_learning_rate
from harken.training.run_folder import RunFolder

torchao = pytest.mark.filterwarnings("ignore")  # what importing torchao says of its own parts


BF16 = {"model": {"path": "m", "precision": "bf16_mixed"}}
REFUSED = {
    "a norm of all gradients": ({"memory": {"step_in_backward": True}}, "set grpo.max_grad_norm: null"),
    "several micro-batches": (
        {"memory": {"step_in_backward": True}, "grpo": {"max_grad_norm": None, "tokens_per_micro_batch": 900}},
        "grpo.tokens_per_micro_batch is 900: set grpo.tokens_per_micro_batch: null",
    ),
    "bfloat16 in float32": ({"memory": {"weights": "bf16_corrected"}}, "needs model.precision: bf16_mixed"),
    "adapters in bfloat16": (
        {"memory": {"weights": "bf16_stochastic"}, "model": {**BF16["model"], "lora": {}}},
        "is for full fine-tuning",
    ),
    "adapters streamed": (
        {"memory": {"reference": "streamed"}, "model": {"path": "m", "lora": {}}},
        "with lora the reference shares",
    ),
    "random rounding beside float32": (
        {"memory": {"weights": "bf16_stochastic", "optimizer": "offloaded"}, **BF16},
        "set weights: bf16_corrected",
    ),
    "an unknown mode": ({"memory": {"optimizer": "sgd"}}, "'adamw', 'adamw_8bit' or 'offloaded' (found 'sgd')"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_recipe_that_needs_what_its_mode_drops_is_refused(kind, tmp_path):
    sections, says = REFUSED[kind]
    values = {"name": "x", "model": {"path": "m"}, "data": {"train": [{"file": "q"}]}, **sections}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError) as caught:
        load_recipe(tmp_path / "r.yaml")
    assert says in str(caught.value)


def test_a_recipe_for_one_loop_need_not_fit_the_other(tmp_path):
    values = small_recipe(tmp_path, tmp_path).model_dump(mode="json") | {"memory": {"step_in_backward": True}}
    values["sft"]["max_grad_norm"] = None
    plan = Recipe.model_validate(values)
    with pytest.raises(ConfigError, match=r"set grpo\.max_grad_norm: null"):
        train(plan, tmp_path / "run", quiet_console())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("most", [1, 2, 3, 4, 7, 100])
def test_decoding_in_portions_changes_no_sample(most):
    model = speaking(tiny_model(), "one", "two", "three", sharpness=0.7)
    inputs = [*two_prompts(model), make_prompt(model, "Which?", 0.9)]
    with torch.no_grad():
        prompts = model.embed(inputs, model.encode_audio(inputs))
    draws = torch.stack([torch.from_numpy(uniforms(0, 1, f"q{p}", g, 6)) for p in range(3) for g in range(3)])
    rows = []
    model.module.lm_head.register_forward_hook(lambda head, given, out: rows.append(len(out)))
    whole = rollout(model, prompts, 3, Sampling(1.2, 6), draws)
    assert max(rows) == 9
    rows.clear()
    found = rollout(model, prompts, 3, Sampling(1.2, 6), draws, most)
    assert max(rows) <= most
    for name in ("tokens", "mask", "ended"):
        assert torch.equal(getattr(found, name), getattr(whole, name)), name
    assert (found.logp - whole.logp).abs().max() < 1e-9


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_demo_set(folder, seed=0, n_train=8, n_test=4)
    return folder / "train.json"


def test_a_rollout_in_portions_is_one_micro_batch_where_each_would_be_an_update(data, tmp_path):
    rows = []
    for most in (None, 2):
        values = small_recipe(tiny_folder("qwen2_5_omni"), data, evaluate_every=None).model_dump(mode="json")
        values["memory"] |= {"step_in_backward": True, "rollout_rows": most}
        values["grpo"] |= {"steps": 1, "max_grad_norm": None, "prompts_per_step": 3}
        train(Recipe.model_validate(values), tmp_path / str(most), quiet_console())
        rows += metric_rows(tmp_path / str(most))
    whole, portions = rows
    assert portions == pytest.approx(whole, rel=1e-4, abs=1e-5)
    assert portions["rollout/logp_gap_max"] < 1e-5  # else weights moved between the completions of the step


CORRECTED = {"weights": "bf16_corrected", "optimizer": "offloaded", "reference": "streamed"}
RUNS = {
    "corrected, offloaded, streamed": CORRECTED,
    "corrected, offloaded, streamed, in portions": {**CORRECTED, "rollout_rows": 3},
    "stochastic, 8 bits, in backward": {
        **{"weights": "bf16_stochastic", "optimizer": "adamw_8bit", "step_in_backward": True, "reference": "int8"},
    },
}


@torchao
@pytest.mark.parametrize("kind", RUNS)
def test_a_checkpoint_in_a_mode_of_memory_restores_every_bit(kind, tmp_path):
    memory = {key: value for key, value in RUNS[kind].items() if key not in ("reference", "rollout_rows")}
    run = RunFolder.create(tmp_path / "run", small_recipe(tiny_folder("qwen2_5_omni"), tmp_path))

    def fresh():
        model = load_policy(ModelConfig(path=str(tiny_folder("qwen2_5_omni")), device="cpu"), torch.bfloat16)
        return model, optimizer_of(model.module, **memory)

    def step(model, optimizer, seed):
        generator = torch.Generator().manual_seed(seed)
        trains = [p for p in model.module.parameters() if p.requires_grad]
        set_learning_rate(optimizer, 1e-4)
        sum((p * torch.randn(p.shape, generator=generator)).sum() for p in trains).backward()
        apply_update(optimizer, 1e-4, None)

    whole, optimizer = fresh()
    step(whole, optimizer, 1)
    save_checkpoint(run, 1, whole, optimizer, keep=1)
    step(whole, optimizer, 2)
    other, again = fresh()
    assert largest_difference(other.module, whole.module) > 0
    assert restore_checkpoint(run.checkpoint(1), other, again) == 1
    step(other, again, 2)
    assert largest_difference(other.module, whole.module) == 0
    assert differences(again.state_dict()["state"], optimizer.state_dict()["state"]) == []
    plain = build_optimizer(small_network(), learning_rate=1e-3, betas=(0.9, 0.99), weight_decay=0.0)
    with pytest.raises(CheckpointError, match="of other parameters"):
        restore_checkpoint(run.checkpoint(1), other, plain)


@pytest.mark.slow
@torchao
@pytest.mark.parametrize("kind", RUNS)
def test_a_run_in_a_mode_of_memory_goes_on_bit_for_bit(kind, data, tmp_path):
    values = small_recipe(tiny_folder("qwen2_5_omni"), data, evaluate_every=None).model_dump(mode="json")
    values["memory"] = RUNS[kind]
    values["model"]["precision"] = "bf16_mixed"
    values["grpo"] |= {"max_grad_norm": None, "learning_rate": 1e-3}
    values["reward"]["parts"] = [
        {"name": "small_runs:reward_by_letters"}
    ]  # accuracy would be 0 for all: nothing to learn
    plan = Recipe.model_validate(values)
    said = io.StringIO()
    train(plan, tmp_path / "whole", Console(file=said, width=200))
    shutil.copytree(tmp_path / "whole", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step_000006")
    train(plan, tmp_path / "run", quiet_console(), resume=True)
    assert differences(read_run(tmp_path / "run"), read_run(tmp_path / "whole")) == []
    before, weights = (read_run(tmp_path / "whole")[f"step_{step:06d}"] for step in (4, 6))
    trained = torch.float32 if RUNS[kind]["weights"] == "bf16_corrected" else torch.bfloat16  # corrected ones are exact
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16, trained}
    assert differences(weights, before)
    rows = metric_rows(tmp_path / "whole")
    assert all(row["policy/grad_norm"] > 0 for row in rows)
    found = re.search(r"reference in 8 bits: KL of ([-0-9.e]+) nats a token .* on (\d+) tokens", said.getvalue())
    if "int8" in RUNS[kind].values():
        assert found, said.getvalue()
        # The first step's KL is the bias too, of other samples: the policy has not moved.
        assert 0 < float(found[1]) < 30 * rows[0]["loss/kl"]
        assert rows[0]["loss/kl"] < 30 * float(found[1])
    else:
        assert found is None
        if "rollout_rows" not in RUNS[kind]:  # see the next test
            assert rows[0]["loss/kl"] == 0


@pytest.mark.slow
def test_a_rollout_in_portions_begins_at_the_reference_where_no_clip_is_encoded(data, tmp_path):
    """With clips it does not to the bit: the policy encodes the clips of all portions together, the reference those of
    each portion, and bfloat16 rounds products of another width otherwise."""
    values = small_recipe(tiny_folder("qwen2_5_omni"), data, evaluate_every=None).model_dump(mode="json")
    values["memory"] = RUNS["corrected, offloaded, streamed, in portions"]
    values["model"]["precision"] = "bf16_mixed"
    values["data"]["train"][0]["audio"] = "none"
    values["grpo"] |= {"steps": 2, "max_grad_norm": None, "learning_rate": 1e-3}
    values["reward"]["parts"] = [{"name": "small_runs:reward_by_letters"}]
    train(Recipe.model_validate(values), tmp_path / "run", quiet_console())
    first, second = metric_rows(tmp_path / "run")
    assert first["loss/kl"] == 0
    assert second["loss/kl"] > 0
