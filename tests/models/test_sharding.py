"""A sharded model leaves the gradients of each pass where one process leaves them, under autocast too.

Autocast's own copies of the weights would be older than the pass that uses them, and autograd would come to them only
after FSDP has sent the gradients of their block.
"""

import copy

import pytest
import torch
import torch.distributed as dist
from tiny_models import completions, gradients, tiny_model, two_prompts
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from harken.inference.log_probabilities import score_packed
from harken.models.audio_lm import AudioLM
from harken.models.policy import mixed_precision
from harken.models.sharded_tensors import local_part
from harken.models.sharding import gathered, shard


@pytest.fixture
def mesh():
    """A mesh of this process alone: FSDP gathers and sends as on many."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


def gradients_after_each_pass(model: AudioLM, sampled: bool) -> list[dict[str, Tensor]]:
    """The gradients so far after each of two micro-batches, as in a step, after a rollout without gradients or not."""
    prompts, answers = two_prompts(model), completions(model, [5, 3])
    snapshots = []
    with mixed_precision(model, "bf16_mixed"):
        if sampled:
            with gathered(model), torch.no_grad():
                score_packed(model, model.embed(prompts, model.encode_audio(prompts)), answers)
        for p, prompt in enumerate(prompts):
            embedded = model.embed([prompt], model.encode_audio([prompt]))
            score_packed(model, embedded, answers.rows(slice(p, p + 1))).logp.sum().backward()
            snapshots.append({name: local_part(gradient) for name, gradient in gradients(model).items()})
    return snapshots


@pytest.mark.parametrize("sampled", [True, False])
def test_a_pass_sends_the_gradients_of_all_weights_before_the_next_pass(mesh: DeviceMesh, sampled):
    model = tiny_model("qwen2_5_omni", torch.float32)
    model.module.train().requires_grad_(True)
    expected = gradients_after_each_pass(copy.deepcopy(model), sampled)
    sent = gradients_after_each_pass(shard(model, mesh, None), sampled)
    for own, other in zip(sent, expected, strict=True):
        assert own.keys() == other.keys()
        for name, gradient in other.items():
            torch.testing.assert_close(own[name], gradient, rtol=1e-5, atol=1e-6, msg=name)
