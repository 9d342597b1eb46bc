"""Log-mel windows for audio towers that are Whisper encoders of a fixed window.

Takes waveforms, gives features without most of their padding and, for a batch, the padded windows with their masks. The
window follows from the checkpoint (30 s as published, shorter in the tiny ones). Not taken: keeping whole windows in
memory, 1.5 MB for a clip of any length; the tower masks the padding, so all of it that reaches a feature is the two
frames that the convolutions see past the clip's end.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import WhisperFeatureExtractor

from harken.errors import CheckpointError
from harken.models.chat_audio import SAMPLE_RATE_HZ, audio_tokens, spectrograms
from harken.types import Waveform

TAIL_FRAMES = 2
"""Frames of padding that the last real position sees: one for each of two convolutions, the second at half the rate."""


class WhisperWindows:
    """The window of one checkpoint.

    Args:
        positions: `max_source_positions` of the tower, two frames each. Raises CheckpointError where the feature
            extractor makes another number of frames.

    Attributes:
        frames, samples: length of one window.
        min_samples: shortest clip that makes one audio token.
    """

    def __init__(self, feature_extractor: WhisperFeatureExtractor, positions: int) -> None:
        self._extractor = feature_extractor
        self._hop = int(feature_extractor.hop_length)
        self.frames = 2 * positions
        self.samples = self.frames * self._hop
        if feature_extractor.nb_max_frames != self.frames:
            raise CheckpointError(
                f"the feature extractor makes {feature_extractor.nb_max_frames} frames "
                f"(chunk_length {feature_extractor.chunk_length} s), the audio tower hears {self.frames} "
                f"(max_source_positions {positions}): they are of different checkpoints"
            )
        self.min_samples = next(n for n in range(1, SAMPLE_RATE_HZ) if self.audio_tokens(n) > 0)

    def audio_tokens(self, samples: int) -> int:
        """Of a clip of so many samples; a frame begun counts."""
        return audio_tokens(-(-samples // self._hop))

    def audio_tokens_of(self, features: Tensor) -> int:
        return audio_tokens(features.shape[1] - TAIL_FRAMES)

    def features(self, waveform: Waveform) -> Tensor:
        """[mel bins, frames of the clip + TAIL_FRAMES] float32; a clip longer than one window continues in the next."""
        pieces = [waveform[start : start + self.samples] for start in range(0, len(waveform), self.samples)]
        mel = spectrograms(self._extractor, pieces, padding="max_length")
        frames = -(-len(waveform) // self._hop)
        row = F.pad(mel.transpose(0, 1).flatten(1), (0, TAIL_FRAMES))
        return row[:, : frames + TAIL_FRAMES].clone()

    def windows(self, clips: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Features of several clips -> [N, mel bins, frames] zero-padded, [N, frames] bool, True = of the clip."""
        windows, heard = [], []
        for features in clips:
            frames = features.shape[1] - TAIL_FRAMES
            for start in range(0, frames, self.frames):
                piece = features[:, start : start + self.frames]  # the last one with its tail, as far as it fits
                windows.append(F.pad(piece, (0, self.frames - piece.shape[1])))
                heard.append(torch.arange(self.frames) < frames - start)
        return torch.stack(windows), torch.stack(heard)
