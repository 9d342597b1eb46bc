"""The bytes that a rank receives in a GRPO step, from the sizes of a model's units; communication.py measures them."""

from dataclasses import dataclass
from typing import Any

from harken.models.audio_lm import AudioLM


@dataclass(frozen=True)
class Sizes:
    """Parameters of a model's units.

    Attributes:
        language_model, tower: the blocks of each.
        ends: embeddings and head.
        root: the rest.
    """

    language_model: int
    tower: int
    ends: int
    root: int

    @property
    def whole(self) -> int:
        return self.language_model + self.tower + self.ends + self.root


OMNI_7B = Sizes(language_model=28 * 233_057_792, tower=32 * 19_676_160, ends=2 * 152_064 * 3584, root=10_013_184)
"""The published sizes of Qwen2.5-Omni-7B's thinker without its vision tower."""


def planned_bytes(
    sizes: Sizes, ranks: int, micro_batches: int, gathered_bytes: int, *, reference: bool = True, tower: bool = True
) -> dict[str, float]:
    """Bytes that one rank receives in a step, by phase.

    Args:
        micro_batches: the most micro-batches of any rank.
        gathered_bytes: bytes of one parameter as it is sent: 2 with bf16_mixed, 4 in float32. Gradients are sent in
            float32.
        tower: whether it trains. Then the reference runs its own tower, and the policy's is gathered again, with the
            root, for its gradients: once a step, since clips are encoded once for all micro-batches.

    The backward pass of a micro-batch gathers the root's few parameters twice: for the language model's norm, and for
    the layers before its blocks.
    """
    share = (ranks - 1) / ranks
    forward = sizes.language_model * micro_batches + sizes.ends + sizes.root
    scored = forward + (sizes.tower * micro_batches if tower else 0)
    backward = sizes.language_model + 2 * sizes.root
    passed = sizes.language_model + sizes.ends + sizes.root
    once = sizes.tower + sizes.root if tower else 0
    return {
        "rollout": share * gathered_bytes * sizes.whole,
        "reference": share * gathered_bytes * scored if reference else 0.0,
        "policy": share * gathered_bytes * (micro_batches * (passed + backward) + once),
        "gradients": share * 4 * (micro_batches * (sizes.language_model + sizes.ends) + once),
    }


def sizes_of(model: AudioLM) -> Sizes:
    def count(modules) -> int:
        return sum(parameter.numel() for module in modules for parameter in module.parameters())

    module: Any = model.module
    blocks = [count(model.parts[part].layers) for part in ("language_model", "audio_tower")]  # pyright: ignore
    ends = count([module.get_input_embeddings(), module.get_output_embeddings()])
    return Sizes(*blocks, ends, count([module]) - sum(blocks) - ends)
