"""The projector of an assembled checkpoint: random, with audio embeddings on the scale of token embeddings.

A tower's states have a large mean, which says nothing about a clip, so it is removed: W is random, its scale gives
audio embeddings the mean squared distance from their mean that token embeddings have from theirs, and the bias moves
their mean to the token embeddings' mean. States are measured on sounds that harken makes itself.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from harken.assembly.audio_part import AudioPart
from harken.data.audio import SAMPLE_RATE_HZ
from harken.data.built_in_sounds import INSTRUMENTS, SOUNDS, VOWELS, make_note, make_sound, make_vowel
from harken.models.audio_features import count_audio_tokens
from harken.models.whisper_tower import encode_windows
from harken.models.whisper_windows import WhisperWindows

CLIP_S = 1.0


def projector_weights(tower: Any, part: AudioPart, embeddings: Tensor, seed: int) -> dict[str, Tensor]:
    """Weight [H, D] and bias [H] of the projector, float32.

    Args:
        tower: the audio tower with its weights.
        embeddings: [V, H] float32 of the language model's own tokens.
    """
    states = tower_states(tower, part)
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(embeddings.shape[1], states.shape[1], generator=generator)
    spread = _spread((states - states.mean(0)) @ weight.T)
    weight *= _spread(embeddings) / spread
    bias = embeddings.mean(0) - weight @ states.mean(0)
    return {"multi_modal_projector.linear.weight": weight, "multi_modal_projector.linear.bias": bias}


def tower_states(tower: Any, part: AudioPart) -> Tensor:
    """[audio tokens, D] float32: the tower's output for made sounds, notes and vowels of one second."""
    rng = np.random.default_rng(0)
    signals = [make_sound(rng, word, CLIP_S) for word in SOUNDS]
    signals += [make_note(rng, word, pitch, CLIP_S) for word in INSTRUMENTS for pitch in (220.0, 440.0)]
    signals += [make_vowel(rng, word, CLIP_S, voice) for word in VOWELS for voice in (110.0, 200.0)]
    windows = WhisperWindows(part.extractor, part.audio_config["max_source_positions"])
    clips = [windows.features(signal[: round(CLIP_S * SAMPLE_RATE_HZ)].astype(np.float32)) for signal in signals]
    features, frames = windows.windows(clips)
    with torch.no_grad():
        encoded = encode_windows(tower, features, frames)
    return torch.cat([states[: count_audio_tokens(n)] for states, n in zip(encoded, frames, strict=True)]).float()


def _spread(vectors: Tensor) -> Tensor:
    """The root of the mean squared distance from the mean vector."""
    return (vectors - vectors.mean(0)).square().sum(1).mean().sqrt()
