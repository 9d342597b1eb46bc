"""The audio tower of Qwen3-Omni over all clips at once.

Three convolutions over time and frequency make 13 audio tokens of each second, and attention covers 8 s at a time
(`chunked_tower.py`). transformers pads each second to the longest of its batch, and what it pads reaches the last token
of a clip shorter than a second, so its result depends on the other clips. Here each clip gives what transformers
computes for it alone.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from harken.models.chunked_tower import Chunks, chunks_of, halved

CONVOLUTIONS = ("conv2d1", "conv2d2", "conv2d3")


def audio_tokens_of(frames: int, second: int) -> int:
    """Audio tokens of a clip.

    Args:
        frames: its mel frames.
        second: frames of one piece, `2 * n_window` of the tower.
    """
    whole, rest = divmod(frames, second)
    return whole * _after_convolutions(second) + (_after_convolutions(rest) if rest else 0)


def encode_seconds(tower: Any, clips: Sequence[Tensor], device: torch.device) -> Tensor:
    """Features of several clips, [mel bins, F] each, through the tower up to its last projection: [sum of audio tokens,
    D]."""
    second = 2 * tower.n_window
    pieces = [piece for features in clips for piece in features.split(second, 1)]
    alone = [features.shape[1] < second for features in clips for _ in features.split(second, 1)]
    frames = [piece.shape[1] for piece in pieces]
    padded_to = [n if is_alone else second for n, is_alone in zip(frames, alone, strict=True)]
    width = max(padded_to)
    padded = torch.stack([F.pad(piece, (0, width - piece.shape[1])) for piece in pieces])
    padded = padded.to(device, tower.conv2d1.weight.dtype)
    hidden = torch.cat(
        [
            _convolve(tower, rows, limits)
            for rows, limits in zip(
                padded.split(tower.conv_chunksize), _in_parts(padded_to, tower.conv_chunksize), strict=True
            )
        ]
    )
    positions: Tensor = tower.positional_embedding.positional_embedding[: hidden.shape[1]]
    hidden = hidden + positions.to(hidden.dtype)
    tokens = [_after_convolutions(n) for n in frames]
    hidden = chunks_of(tokens, hidden.shape[1], hidden).flatten(hidden)
    windows = _windows(tower, clips, hidden)
    for layer in tower.layers:
        hidden = layer(hidden, cu_seqlens=None, chunks=windows)[0]
    return tower.act(tower.proj1(tower.ln_post(hidden)))


def _convolve(tower: Any, pieces: Tensor, limits: Sequence[int]) -> Tensor:
    """[N, mel bins, W] -> [N, W / 8, D]. Behind its limit each piece is 0, as beyond the end of a shorter tensor."""
    hidden = pieces[:, None]
    for name in CONVOLUTIONS:
        hidden = F.gelu(getattr(tower, name)(hidden))
        limits = [halved(n) for n in limits]
        if min(limits) < hidden.shape[-1]:
            present = torch.arange(hidden.shape[-1]) < torch.tensor(limits)[:, None]
            hidden = hidden * present[:, None, None].to(hidden.device, hidden.dtype)
    return tower.conv_out(hidden.permute(0, 3, 1, 2).flatten(2))


def _windows(tower: Any, clips: Sequence[Tensor], hidden: Tensor) -> Chunks:
    """The windows of attention: as many whole seconds as the tower attends to at once, then the rest of the clip."""
    second = 2 * tower.n_window
    window = _after_convolutions(second) * (tower.n_window_infer // second)
    lengths = []
    for features in clips:
        whole, rest = divmod(audio_tokens_of(features.shape[1], second), window)
        lengths += [window] * whole + ([rest] if rest else [])
    return chunks_of(lengths, max(lengths), hidden)


def _in_parts(values: Sequence[int], size: int) -> list[Sequence[int]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _after_convolutions(frames: int) -> int:
    for _ in CONVOLUTIONS:
        frames = halved(frames)
    return frames
