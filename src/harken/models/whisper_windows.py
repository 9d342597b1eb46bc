"""Clips cut into the fixed windows of a Whisper encoder.

`WhisperWindowModel` holds one `WhisperWindows`. The window's length follows from the checkpoint: 30 s as published,
shorter in tiny checkpoints. Features are kept without most of their padding, which would take 1.5 MB for a clip of any
length; a batch is padded when it is encoded. The tower masks the padding, and only the two frames after the clip's end
reach a feature, through the convolutions.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import WhisperFeatureExtractor

from harken.errors import CheckpointError
from harken.models.audio_features import count_audio_tokens, count_frames, spectrograms
from harken.types import Waveform

TAIL_FRAMES = 2
"""Frames of padding that the clip's last position sees, one for each of two convolutions."""


class WhisperWindows:
    """The window of one checkpoint.

    Args:
        positions: `max_source_positions` of the tower, two frames each. Raises CheckpointError where the feature
            extractor makes another number of frames.

    Attributes:
        frames, samples: the length of one window.
    """

    def __init__(self, feature_extractor: WhisperFeatureExtractor, positions: int) -> None:
        self._extractor = feature_extractor
        self._hop_length = int(feature_extractor.hop_length)
        self.frames = 2 * positions
        self.samples = self.frames * self._hop_length
        if feature_extractor.nb_max_frames != self.frames:
            raise CheckpointError(
                f"the feature extractor makes {feature_extractor.nb_max_frames} frames "
                f"(chunk_length {feature_extractor.chunk_length} s), the audio tower hears {self.frames} "
                f"(max_source_positions {positions}): they are of different checkpoints"
            )

    def features(self, waveform: Waveform) -> Tensor:
        """[mel bins, frames of the clip + TAIL_FRAMES] float32. A clip longer than one window continues in the next."""
        pieces = [waveform[start : start + self.samples] for start in range(0, len(waveform), self.samples)]
        mel = spectrograms(self._extractor, pieces, padding="max_length")
        frames = count_frames(len(waveform), self._hop_length)
        row = F.pad(mel.transpose(0, 1).flatten(1), (0, TAIL_FRAMES))
        return row[:, : frames + TAIL_FRAMES].clone()

    def numbers(self, clips: Sequence[Tensor]) -> list[int]:
        """The number of each window within its clip, from 0, in the order of `windows`."""
        return [n for features in clips for n in range(-(-(features.shape[1] - TAIL_FRAMES) // self.frames))]

    def windows(self, clips: Sequence[Tensor]) -> tuple[Tensor, list[int]]:
        """Features of several clips -> [N, mel bins, F] zero-padded, and the frames of each window that are the clip's.

        F is what the longest needs with its tail, and at most a whole window.
        """
        pieces, frames = [], []
        for features in clips:
            count = features.shape[1] - TAIL_FRAMES
            for start in range(0, count, self.frames):
                pieces.append(features[:, start : start + self.frames])  # the last has its tail, as far as it fits
                frames.append(min(self.frames, count - start))
        longest = max(piece.shape[1] for piece in pieces)
        width = min(self.frames, longest + longest % 2)  # two frames make one position
        return torch.stack([F.pad(piece, (0, width - piece.shape[1])) for piece in pieces]), frames


def audio_tokens_of(features: Tensor) -> int:
    """How many audio tokens the features of one clip make."""
    return count_audio_tokens(features.shape[1] - TAIL_FRAMES)
