"""The clips of a step, encoded in one pass, for updates that go over several micro-batches.

Where the tower or the projector trains, each micro-batch's backward pass stops at the encoded clips and leaves its
gradients there. `backward` then takes all of them through the encoder at once, so that the encoder's graph serves the
whole step and is gone through one time.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class EncodedClips:
    """Encoded audio whose gradients go on into the encoder when `backward` is called.

    Attributes:
        audio: [P] tensors as `AudioLM.encode_audio` returns them, cut off from the encoder's graph; those of an encoder
            that trains collect gradients.
    """

    def __init__(self, encoded: Sequence[Tensor | None]) -> None:
        self.audio = [None if clip is None else clip.detach().requires_grad_(clip.requires_grad) for clip in encoded]
        pairs = [(clip, leaf) for clip, leaf in zip(encoded, self.audio, strict=True) if clip is not None]
        self._ends = [(clip, leaf) for clip, leaf in pairs if clip.requires_grad and leaf is not None]

    @property
    def has_graph(self) -> bool:
        """Whether the encoder trains and `backward` has not been called."""
        return bool(self._ends)

    def backward(self) -> None:
        """Add the gradients of tower and projector. Every rank of a sharded model has to call this, also one whose
        clips got no gradient."""
        ends, self._ends = self._ends, []
        if ends:
            gradients = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for _, leaf in ends]
            torch.autograd.backward([clip for clip, _ in ends], gradients)
