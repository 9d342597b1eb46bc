"""Training stages that follow each other, and the float32 that each of them holds."""

from pathlib import Path

from safetensors.torch import load_file, save_file
from small_runs import small_recipe
from tiny_models import tiny_folder

from harken.config import Recipe
from harken.models.loading import load_model
from harken.models.policy import load_policy_exactly
from harken.models.precision import join_float32

TINY_RATE = 1e-30
"""A learning rate whose update changes no float32 that is not 0."""


def published_base(folder: Path) -> Path:
    """A checkpoint in bfloat16, as published ones are."""
    load_model(str(tiny_folder("qwen2_5_omni")), device="cpu").save(folder / "model")
    weights = load_file(folder / "model" / "model.safetensors")
    save_file({k: v.bfloat16() for k, v in weights.items()}, folder / "model" / "model.safetensors", {"format": "pt"})
    return folder / "model"


def stage(path, data, learning_rate=1e-5, *, lora=False, frozen_dtype="float32", **memory):
    """A recipe of three supervised steps."""
    values = small_recipe(path, data, lora, evaluate_every=None).model_dump()
    values["model"] |= {"frozen_dtype": frozen_dtype, "precision": "bf16_mixed"}
    values["sft"] |= {"steps": 3, "learning_rate": learning_rate}
    values["memory"] |= memory
    if memory.get("step_in_backward"):
        values["sft"]["max_grad_norm"] = values["grpo"]["max_grad_norm"] = None
    return Recipe.model_validate(values)


def exact_policy(recipe):
    """The float32 that each weight which trains stands for."""
    policy, corrections = load_policy_exactly(recipe.model, recipe.memory.weights)
    parameters = {name: p.detach() for name, p in policy.module.named_parameters() if p.requires_grad}
    return {name: join_float32(p, corrections[name]) if name in corrections else p for name, p in parameters.items()}


def parameters_of(path):
    return dict(load_model(str(path), device="cpu").module.named_parameters())
