"""The language model of a policy as vLLM knows it: its config, and its weights by vLLM's names.

Prompts reach the engine embedded, so vLLM loads the language model alone, a plain `Qwen2ForCausalLM` or
`LlamaForCausalLM`, whatever the architecture around it. That holds for Qwen2.5-Omni too: its rotary positions have
three rows (time, height, width), which are equal for text and audio, and rotation by three equal rows is plain
rotation.
"""

from collections.abc import Iterator
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import LlamaConfig, Qwen2Config

from harken.errors import CheckpointError
from harken.models.audio_lm import AudioLM

KNOWN: dict[str, tuple[str, type, str]] = {
    "qwen2": ("qwen2", Qwen2Config, "Qwen2ForCausalLM"),
    "qwen2_5_omni_text": ("qwen2", Qwen2Config, "Qwen2ForCausalLM"),
    "llama": ("llama", LlamaConfig, "LlamaForCausalLM"),
}
"""`model_type` of a language model -> the type, config and class as which vLLM loads it."""


def vllm_config(policy: AudioLM, dtype: torch.dtype) -> dict[str, Any]:
    """config.json of the policy's language model for vLLM.

    Raises CheckpointError where the language model is none of `KNOWN`, or its head has a bias.
    """
    language_model: Any = policy.parts["language_model"]
    kind, stored = language_model.config.model_type, language_model.config.to_dict()
    if kind not in KNOWN:
        raise CheckpointError(
            f"grpo.rollout.engine: vllm: the language model is a {kind!r}, and the engine knows {', '.join(KNOWN)}: "
            "set grpo.rollout.engine: harken"
        )
    if getattr(_head(policy), "bias", None) is not None:
        raise CheckpointError(
            "grpo.rollout.engine: vllm: the head has a bias, which vLLM has no place for: set engine: harken"
        )
    model_type, config_class, class_name = KNOWN[kind]
    config = {key: stored[key] for key in config_class().to_dict() if key in stored}
    rope = {key: value for key, value in stored["rope_parameters"].items() if key != "mrope_section"}
    if rope.get("rope_type") == "mrope":
        rope["rope_type"] = "default"
    return config | {
        "model_type": model_type,
        "architectures": [class_name],
        "rope_parameters": rope,
        "tie_word_embeddings": _is_tied(policy),
        "dtype": str(dtype).removeprefix("torch."),
    }


def vllm_weights(policy: AudioLM) -> Iterator[tuple[str, Tensor]]:
    """(name, weight) of the whole language model, one after another, adapters merged.

    The policy is not changed: merging in place and taking the sum apart again would round its weights a little in every
    step. The parameters of a sharded model must be gathered.
    """
    for name, weight in _merged(policy.parts["language_model"]):
        yield f"model.{name}", weight
    if not _is_tied(policy):
        for name, weight in _merged(_head(policy)):
            yield f"lm_head.{name}", weight


def _merged(root: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The parameters of a module by the names that they would have without adapters."""
    modules = {name: module for name, module in root.named_modules() if isinstance(module, LoraLayer)}
    adapted: dict[str, Any] = {f"{name}.": module for name, module in modules.items()}
    for name, parameter in root.named_parameters():
        weight = parameter.detach()
        owner = next((prefix for prefix in adapted if name.startswith(prefix)), None)
        if owner is None:
            yield name, weight
            continue
        inside = name.removeprefix(owner)
        if not inside.startswith("base_layer."):  # the adapter itself
            continue
        if inside == "base_layer.weight":
            for adapter in adapted[owner].active_adapters:
                weight = weight.float() + adapted[owner].get_delta_weight(adapter).detach().float()
        yield owner + inside.removeprefix("base_layer."), weight


def _head(policy: AudioLM) -> Any:
    module: Any = policy.module
    return module.get_output_embeddings()


def _is_tied(policy: AudioLM) -> bool:
    module: Any = policy.module
    return module.get_input_embeddings().weight is _head(policy).weight
