"""The experts of a block compute what transformers' own loop over them computes. Routers train where they should."""

import pytest
import torch
from tiny_models import EVERYTHING, tiny_folder, tiny_model

from counting import Counter
from harken.config import ModelConfig
from harken.errors import ConfigError
from harken.models.policy import load_policy

ROUTER = "mlp.gate.weight"


def outputs_and_gradients(experts, implementation, hidden, chosen, weights):
    experts.config._experts_implementation = implementation
    inputs = [hidden.clone().requires_grad_(), weights.clone().requires_grad_()]
    experts.zero_grad()
    output = experts(inputs[0], chosen, inputs[1])
    (output * torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)).sum().backward()
    return [output.detach(), *(tensor.grad for tensor in (*inputs, experts.gate_up_proj, experts.down_proj))]


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("choices", ["many experts", "one expert"])
def test_output_and_gradients_are_those_of_transformers_loop_over_experts(dtype, bound, choices):
    model = tiny_model("qwen3_omni_moe", dtype)
    experts = model.parts["language_model"].layers[0].mlp.experts.requires_grad_(True)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(7, 128, generator=generator, dtype=dtype)
    weights = torch.rand(7, 2, generator=generator, dtype=dtype)
    chosen = torch.stack([torch.randperm(8, generator=generator)[:2] for _ in range(7)])
    if choices == "one expert":
        chosen = torch.full((7, 1), 5)
        weights = weights[:, :1]
    own, loop = (outputs_and_gradients(experts, name, hidden, chosen, weights) for name in ("harken_experts", "eager"))
    for actual, expected in zip(own, loop, strict=True):
        assert (actual - expected).abs().max() < bound


@torch.no_grad()
def test_no_choice_of_a_router_is_read_from_the_device():
    model = tiny_model("qwen3_omni_moe", torch.float32)
    with Counter() as counter:
        model.hidden(model.embed_tokens(torch.arange(20, 26)[None]), torch.arange(6)[None], None)
    assert counter.reads == []


@pytest.mark.parametrize("trains", [False, True])
def test_routers_train_where_the_recipe_says_so(trains):
    path = str(tiny_folder("qwen3_omni_moe"))
    policy = load_policy(ModelConfig(path=path, train_router=trains, device="cpu"))
    names = {name for name, parameter in policy.module.named_parameters() if parameter.requires_grad}
    routers = {name for name in names if name.endswith(ROUTER)}
    assert len(routers) == (3 if trains else 0)
    assert len([name for name in names if ".experts." in name]) == 3 * 2
    hidden = policy.hidden(policy.embed_tokens(torch.arange(20, 26)[None]), torch.arange(6)[None], None)
    hidden.square().sum().backward()
    gradients = [p.grad for n, p in policy.module.named_parameters() if n.endswith(ROUTER)]
    assert all((gradient is not None and gradient.norm() > 0) == trains for gradient in gradients)


def test_a_router_that_is_not_there_or_cannot_train_is_refused():
    with pytest.raises(ConfigError, match=r"model\.train_router: .* has no router; only a mixture of experts has one"):
        load_policy(ModelConfig(path=str(tiny_folder("qwen2_audio")), train_router=True, device="cpu"))
    for changes in ({"lora": {}}, {"train_language_model": False}):
        with pytest.raises(ValueError, match="train_router needs the language model to train in full"):
            ModelConfig(path="x", train_router=True, **changes)
    model = tiny_model("qwen3_omni_moe")
    model.set_trainable(**EVERYTHING, router=False)
    assert not any(p.requires_grad for n, p in model.module.named_parameters() if n.endswith(ROUTER))
