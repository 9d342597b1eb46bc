"""What autograd keeps of one block of the real classes, against the coefficients of planned activations."""

import pytest
import torch
from torch import Tensor, nn
from transformers import Qwen2AudioEncoderConfig, Qwen2Config, Qwen3OmniMoeTextConfig
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer, Qwen2RotaryEmbedding
from transformers.models.qwen2_audio.modeling_qwen2_audio import Qwen2AudioEncoderLayer
from transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe import Qwen3OmniMoeThinkerTextDecoderLayer

from harken.models.experts import NAME
from harken.planning.held_memory import TOWER_HIDDEN_KEPT, TOWER_INTERMEDIATE_KEPT
from harken.planning.pass_memory import HIDDEN_KEPT, INTERMEDIATE_KEPT, NORMS_PER_BLOCK, QUERIES_KEPT, ROUTED_KEPT

TOKENS, HIDDEN, INTERMEDIATE = 128, 64, 300
PRECISIONS = {
    "float32": (torch.float32, False),
    "bfloat16 products": (torch.float32, True),
    "bfloat16 weights": (torch.bfloat16, True),
}


def kept_bytes(block: nn.Module, stream: torch.dtype, mixed: bool, *inputs, rows: int = TOKENS, **options) -> int:
    """Bytes of the tensors of all tokens, or of so many rows, that autograd keeps in one forward pass; weights and
    masks left out."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if {TOKENS, rows} & {*tensor.shape} and tensor.shape[-2:] != (TOKENS, TOKENS):
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    block.to(stream).eval()
    with (
        torch.autocast("cpu", torch.bfloat16, enabled=mixed),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        block(*inputs, **options)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_block_of_the_language_model_keeps_what_is_planned_within_8_percent(precision):
    stream, mixed = PRECISIONS[precision]
    config = Qwen2Config(
        hidden_size=HIDDEN,
        intermediate_size=INTERMEDIATE,
        num_attention_heads=4,
        num_key_value_heads=1,
        attn_implementation="sdpa",
    )
    states = torch.randn(1, TOKENS, HIDDEN).to(stream).requires_grad_()
    positions = Qwen2RotaryEmbedding(config)(states, torch.arange(TOKENS)[None])
    mask = torch.zeros(1, 1, TOKENS, TOKENS, dtype=torch.bfloat16 if mixed else torch.float32)
    options = {"attention_mask": mask, "position_embeddings": positions}
    measured = kept_bytes(Qwen2DecoderLayer(config, 0), stream, mixed, states, **options)
    compute_bytes = 2 if mixed else 4
    hidden = NORMS_PER_BLOCK * (4 + stream.itemsize) + compute_bytes * (HIDDEN_KEPT + QUERIES_KEPT)
    planned = TOKENS * (hidden * HIDDEN + compute_bytes * INTERMEDIATE_KEPT * INTERMEDIATE)
    assert measured == pytest.approx(planned, rel=0.08)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_block_of_experts_keeps_what_is_planned_within_8_percent(precision):
    """The rows of the experts are TOKENS x CHOSEN: they are counted too, and numbers per row of one each are not."""
    stream, mixed = PRECISIONS[precision]
    chosen, each = 4, 96
    config = Qwen3OmniMoeTextConfig(
        **{"hidden_size": HIDDEN, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 16},
        **{"num_experts": 8, "num_experts_per_tok": chosen, "moe_intermediate_size": each},
    )
    config._experts_implementation = NAME
    config._attn_implementation = "sdpa"
    states = torch.randn(1, TOKENS, HIDDEN).to(stream).requires_grad_()
    positions = Qwen2RotaryEmbedding(Qwen2Config(hidden_size=HIDDEN, num_attention_heads=4))(
        states, torch.arange(TOKENS)[None]
    )
    mask = torch.zeros(1, 1, TOKENS, TOKENS, dtype=torch.bfloat16 if mixed else torch.float32)
    block = Qwen3OmniMoeThinkerTextDecoderLayer(config, 0)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    options = {"attention_mask": mask, "position_embeddings": positions}
    measured = kept_bytes(block, stream, mixed, states, rows=TOKENS * chosen, **options)
    compute_bytes = 2 if mixed else 4
    hidden = NORMS_PER_BLOCK * (4 + stream.itemsize) + compute_bytes * (HIDDEN_KEPT + ROUTED_KEPT * chosen)
    hidden += stream.itemsize * QUERIES_KEPT + 4  # the norm of the queries
    planned = TOKENS * (hidden * HIDDEN + compute_bytes * INTERMEDIATE_KEPT * chosen * each)
    assert measured == pytest.approx(planned, rel=0.08)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_block_of_the_tower_keeps_at_most_two_thirds_of_what_is_planned(precision):
    stream, mixed = PRECISIONS[precision]
    config = Qwen2AudioEncoderConfig(
        d_model=HIDDEN, encoder_ffn_dim=INTERMEDIATE, encoder_attention_heads=4, attn_implementation="sdpa"
    )
    states = torch.randn(1, TOKENS, HIDDEN).to(stream).requires_grad_()
    measured = kept_bytes(Qwen2AudioEncoderLayer(config), stream, mixed, states, None)
    planned = TOKENS * (2 if mixed else 4) * (TOWER_HIDDEN_KEPT * HIDDEN + TOWER_INTERMEDIATE_KEPT * INTERMEDIATE)
    assert 0.5 * planned < measured < 0.67 * planned
