"""Weight decay moves matrices, and norms and biases only where the recipe says so."""

import copy

import pytest
import torch
from torch import nn

from harken.config import MemoryConfig
from harken.config.renamed import rename_keys
from harken.training.optimizer import apply_update, build_optimizer

MODES = {
    "plain": (MemoryConfig(), torch.float32),
    "offloaded": (MemoryConfig(optimizer="offloaded"), torch.float32),
    "corrected": (MemoryConfig(weights="bf16_corrected"), torch.bfloat16),
}


def network(dtype):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2)).to(dtype)


def optimizer_of(module, memory, **options):
    return build_optimizer(module, learning_rate=0.25, betas=(0.9, 0.99), weight_decay=0.5, memory=memory, **options)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("everything", [False, True])
def test_one_update_without_gradients_shrinks_what_decays_and_nothing_else(mode, everything):
    memory, dtype = MODES[mode]
    module = network(dtype)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(2.0)
            parameter.grad = torch.zeros_like(parameter)
    apply_update(optimizer_of(module, memory, decay_norms_and_biases=everything), 0.25, None)
    for parameter in module.parameters():
        decays = everything or parameter.ndim > 1
        assert torch.equal(parameter, torch.full_like(parameter, 2.0 * (1 - 0.25 * 0.5) if decays else 2.0))


@pytest.mark.parametrize("mode", MODES)
def test_the_state_of_two_groups_goes_on_where_it_was(mode):
    memory, dtype = MODES[mode]

    def step(module, optimizer, seed):
        generator = torch.Generator().manual_seed(seed)
        for parameter in module.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator).to(dtype)
        apply_update(optimizer, 0.01, None)

    whole, again = network(dtype), network(dtype)
    optimizer, other = optimizer_of(whole, memory), optimizer_of(again, memory)
    step(whole, optimizer, 1)
    again.load_state_dict(whole.state_dict())
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    step(whole, optimizer, 2)
    step(again, other, 2)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_a_run_that_began_before_the_key_existed_goes_on_decaying_everything():
    older = {"grpo": {"weight_decay": 0.1}, "sft": {"weight_decay": 0.0}, "name": "x"}
    newer = {"grpo": {"weight_decay": 0.1, "decay_norms_and_biases": False}}
    assert rename_keys(older)["grpo"]["decay_norms_and_biases"] is True
    assert "decay_norms_and_biases" not in rename_keys(older)["sft"]
    assert rename_keys(newer) == newer
