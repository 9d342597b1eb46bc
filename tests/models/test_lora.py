"""LoRA: packed rows stay exact, only adapters move, the reference is right, and peft loads the saved adapters."""

import warnings
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from plain_classes import PLAIN_CLASSES
from prompt_batches import BATCHES, LENGTHS, relative_errors
from rich.console import Console
from tiny_models import (
    ARCHITECTURES,
    EVERYTHING,
    LANGUAGE_MODEL,
    adapted,
    completions,
    gradients,
    make_prompt,
    plain_logp,
    tiny_folder,
    tiny_model,
)

from harken.config import GrpoConfig, ModelConfig, Recipe
from harken.data.demo_set import write_demo_set
from harken.grpo.loop import train
from harken.grpo.micro_batch import RewardedBatch
from harken.grpo.sample_completions import sample_completions
from harken.grpo.update import update
from harken.inference.log_probabilities import score_packed, score_repeated
from harken.inference.prompt_inputs import PromptInputs
from harken.models.loading import load_model
from harken.models.policy import enable_gradient_checkpointing, frozen_copy, load_policy
from harken.questions.prompt import Prompt
from harken.training.optimizer import build_optimizer
from harken.types import Question


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("parts", [LANGUAGE_MODEL, EVERYTHING], ids=["language model", "tower too"])
@pytest.mark.parametrize(
    "checkpointing", [pytest.param(False, id="plain", marks=pytest.mark.core), pytest.param(True, id="checkpointing")]
)
def test_packed_row_equals_repeated_form_with_adapters(arch, parts, checkpointing):
    results = []
    for form in ("packed", "repeated"):
        model = adapted(arch, parts)
        if checkpointing:
            enable_gradient_checkpointing(model.module)
        model.module.train()
        inputs = [make_prompt(model, text, seconds, seed) for seed, (text, seconds) in enumerate(BATCHES["mixed"])]
        rows = completions(model, LENGTHS)
        if form == "packed":
            scores = score_packed(model, model.embed(inputs, model.encode_audio(inputs)), rows)
        else:
            scores = score_repeated(model, inputs, rows)
        (scores.logp * torch.linspace(-1, 1, scores.logp.numel()).view_as(scores.logp)).sum().backward()
        results.append((scores.logp.detach(), gradients(model)))
    (packed, packed_gradients), (plain, plain_gradients) = results
    assert (packed - plain).abs().max() < 1e-9
    assert max(relative_errors(packed_gradients, plain_gradients).values()) < 1e-8
    assert any("audio_tower" in name for name in packed_gradients) == parts["audio_tower"]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_fresh_adapters_change_nothing_and_only_they_train(arch):
    base, fresh = tiny_model(arch), adapted(arch, LANGUAGE_MODEL, moved=False)
    question = make_prompt(base, "Which digit?", 0.7)
    tokens = torch.tensor([30, 40, 50])
    assert torch.equal(plain_logp(base.module, question, tokens), plain_logp(fresh.module, question, tokens))
    trained = [name for name, parameter in fresh.module.named_parameters() if parameter.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    in_language_model = {id(parameter) for parameter in fresh.parts["language_model"].parameters()}
    assert all(id(fresh.module.get_parameter(name)) in in_language_model for name in trained)
    layers = len(fresh.parts["language_model"].layers)
    adapted_layers = 4 if arch == "qwen3_omni_moe" else 7  # q, k, v, o; gate, up, down where there are no experts
    assert len(trained) == layers * adapted_layers * 2  # A and B


@pytest.mark.core
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_saved_adapter_gives_the_same_logits_merged_and_in_plain_peft(arch, tmp_path):
    model = load_policy(ModelConfig(path=str(tiny_folder(arch)), lora={}, train_projector=True, device="cpu"))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.module.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    model.save(tmp_path / "adapter")
    files = {file.name for file in (tmp_path / "adapter").iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors"} <= files
    assert not {"model.safetensors", "README.md"} & files
    question, tokens = make_prompt(model, "Which digit?", 0.7), torch.tensor([30, 40, 50])
    model.module.eval()
    expected = plain_logp(model.module, question, tokens)
    merged = load_model(str(tmp_path / "adapter"), device="cpu")
    torch.testing.assert_close(plain_logp(merged.module, question, tokens), expected, rtol=0, atol=1e-5)
    plain = PLAIN_CLASSES[arch].from_pretrained(tiny_folder(arch))
    with warnings.catch_warnings():  # peft reads a property that transformers has renamed
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        by_peft = PeftModel.from_pretrained(plain, str(tmp_path / "adapter")).eval()
    torch.testing.assert_close(plain_logp(by_peft.base_model.model, question, tokens), expected, rtol=0, atol=1e-5)
    assert not torch.allclose(plain_logp(tiny_plain(arch), question, tokens), expected, atol=1e-3)


def tiny_plain(arch: str) -> torch.nn.Module:
    return load_model(str(tiny_folder(arch)), device="cpu").module


def test_reference_is_the_policy_at_the_start_also_from_an_adapter_and_with_a_trained_projector(tmp_path):
    """With adapters switched off, the reference would be the base of the first adapter, and have the trained
    projector."""
    first = load_policy(ModelConfig(path=str(tiny_folder("qwen2_5_omni")), lora={}, device="cpu"))
    with torch.no_grad():
        for parameter in first.module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05)
    first.save(tmp_path / "sft")
    policy = load_policy(ModelConfig(path=str(tmp_path / "sft"), lora={}, train_projector=True, device="cpu"))
    reference = frozen_copy(policy)
    question, tokens = make_prompt(policy, "Which digit?", 0.7), torch.tensor([30, 40, 50])
    start = plain_logp(load_model(str(tmp_path / "sft"), device="cpu").module, question, tokens)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in policy.module.parameters():
            if parameter.requires_grad:  # random, because equal numbers in all rows nearly cancel
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    torch.testing.assert_close(plain_logp(reference.module, question, tokens), start, rtol=0, atol=1e-6)
    assert not torch.allclose(plain_logp(policy.module, question, tokens), start, atol=1e-3)
    shared = {parameter.data_ptr() for parameter in policy.module.parameters() if not parameter.requires_grad}
    assert shared <= {parameter.data_ptr() for parameter in reference.module.parameters()}


def test_an_update_moves_adapters_and_leaves_the_base_bit_for_bit():
    model = adapted("qwen2_5_omni", EVERYTHING, torch.float32)
    before = {name: parameter.clone() for name, parameter in model.module.named_parameters()}
    question = make_prompt(model, "Which digit?", 0.7)
    questions = [Question("q", "Which digit?", ("one", "two"), 0, None)]
    settings = GrpoConfig(completions_per_prompt=4, max_completion_tokens=4, temperature=1.0, beta=0.0)
    template = Prompt(template="{question} {choices}", choices="list", form=None)
    inputs = PromptInputs(model, template, 0.1)(questions)
    [sampled] = sample_completions(model, questions, inputs, template, settings, seed=0, step=1)
    sampled.inputs, sampled.audio = [question], model.encode_audio([question])
    advantages = torch.tensor([1.0, -1.0, 0.5, -0.5], dtype=torch.float64)
    batch = RewardedBatch(sampled, None, {}, torch.zeros(1, 4), advantages)
    optimizer = build_optimizer(model.module, learning_rate=1e-3, betas=(0.9, 0.999), weight_decay=0.0)
    update(model, [batch], settings, optimizer, 1e-3)
    for name, parameter in model.module.named_parameters():
        if parameter.requires_grad:
            assert not torch.equal(parameter, before[name]), name
        else:
            assert torch.equal(parameter, before[name]), name


def lora_recipe(folder: Path, **model) -> Recipe:
    write_demo_set(folder / "data", seed=0, n_train=80, n_test=80)
    return Recipe.model_validate(
        {
            "name": "lora",
            "model": {"path": str(tiny_folder("qwen2_5_omni")), "lora": {"rank": 4}, "device": "cpu", **model},
            "data": {"train": [{"file": folder / "data" / "train.json"}], "dev_share": 0.2},
            "grpo": {
                **{"steps": 4, "prompts_per_step": 2, "completions_per_prompt": 2},
                **{"max_completion_tokens": 3, "learning_rate": 1e-2},
            },
            "logging": {"every": 2, "checkpoint_every": 2, "evaluate_every": 4},
        }
    )


@pytest.mark.parametrize("mixed", [False, True], ids=["float32", "bf16_mixed over a bfloat16 base"])
def test_a_resumed_lora_run_ends_with_the_same_adapter(tmp_path, mixed):
    precision = {"precision": "bf16_mixed", "frozen_dtype": "bfloat16"} if mixed else {}
    recipe = lora_recipe(tmp_path, train_projector=True, train_audio_tower=True, **precision)
    console = Console(quiet=True)
    whole = train(recipe, tmp_path / "whole", console)
    train(replace_steps(recipe, 2), tmp_path / "resumed", console)
    resumed = train(recipe, tmp_path / "resumed", console, resume=True, accept_changes=True)
    name = "adapter_model.safetensors"
    assert (whole / name).read_bytes() == (resumed / name).read_bytes()


def replace_steps(recipe: Recipe, steps: int) -> Recipe:
    return recipe.model_copy(update={"grpo": recipe.grpo.model_copy(update={"steps": steps, "schedule": "linear"})})


def test_lora_freezes_tower_and_projector_unless_asked_for():
    chosen = ModelConfig(path="x", lora={})
    assert (chosen.train_language_model, chosen.train_audio_tower, chosen.train_projector) == (True, False, False)
    assert ModelConfig(path="x", lora={}, train_audio_tower=True).train_audio_tower
