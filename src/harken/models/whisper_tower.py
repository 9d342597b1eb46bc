"""A Whisper encoder over windows no longer than their clips need, for Qwen2-Audio and the Audio Flamingos.

transformers runs these towers on whole windows, 30 s as published, and masks what lies after a clip. Nothing reads
those positions, so windows that end behind the longest clip give the same features, and a clip of 10 s costs a third.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from harken.models.attention_mask import additive_mask, compute_dtype


def encode_windows(tower: Any, windows: Tensor, frames: Sequence[int]) -> Tensor:
    """[N, mel bins, F] -> [N, F // 4, H]

    Args:
        windows: on the tower's device. Where F is less than a whole window, two frames follow every clip at least.
        frames: the frames of each window that are the clip's.
    """
    hidden = F.gelu(tower.conv1(windows.to(tower.conv1.weight.dtype)))
    hidden = F.gelu(tower.conv2(hidden)).transpose(1, 2)
    hidden = hidden + tower.embed_positions.weight[: hidden.shape[1]]
    present = torch.arange(hidden.shape[1]) < (torch.tensor(frames)[:, None] + 1) // 2
    mask = None
    if not bool(present.all()):  # on the host
        mask = additive_mask(present[:, None, None].to(hidden.device), compute_dtype(hidden))
    for layer in tower.layers:
        hidden = layer(hidden, mask)
    return tower.layer_norm(tower.avg_pooler(hidden.transpose(1, 2)).transpose(1, 2))
