"""The optimizer refuses trained weights that are not float32, and a test shows why."""

import pytest
import torch
from tiny_models import ARCHITECTURES, EVERYTHING, tiny_model

from harken.training.optimizer import build_optimizer


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_weights_in_bfloat16_are_refused_by_the_optimizer(arch):
    model = tiny_model(arch, torch.bfloat16)
    model.set_trainable(**EVERYTHING)
    with pytest.raises(ValueError, match=r"stored in torch\.bfloat16 .* load them in float32"):
        build_optimizer(model.module, learning_rate=1e-6, betas=(0.9, 0.999), weight_decay=0.0)
    model.set_trainable(**dict.fromkeys(EVERYTHING, False))
    model.module.lm_head.float().requires_grad_(True)  # coarse weights that do not train are no matter
    assert build_optimizer(model.module, learning_rate=1e-6, betas=(0.9, 0.999), weight_decay=0.0)


def test_why_bfloat16_rounds_98_of_100_updates_at_learning_rate_1e_6_away():
    """At the usual size of published weights. A first AdamW step changes every weight by the rate (docs/memory.md)."""
    lost = {}
    for dtype in (torch.bfloat16, torch.float32):
        generator = torch.Generator().manual_seed(0)
        weight = torch.nn.Parameter((torch.randn(100_000, generator=generator) * 0.02).to(dtype))
        before = weight.detach().clone()
        weight.grad = torch.randn(100_000, generator=generator).to(dtype)
        torch.optim.AdamW([weight], lr=1e-6, weight_decay=0.0).step()
        lost[dtype] = float((weight.detach() == before).double().mean())
    assert lost[torch.bfloat16] > 0.97
    assert lost[torch.float32] == 0.0
