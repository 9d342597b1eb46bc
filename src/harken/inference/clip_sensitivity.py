"""Whether a model's next token depends on the clip at all, which `harken doctor` reports."""

import numpy as np
import torch

from harken.inference.prefill import next_token_logits
from harken.models.audio_lm import AudioLM
from harken.types import Waveform

CONVERSATION = [
    {"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "What is heard in the audio?"}]}
]


def logit_change_between_clips(model: AudioLM) -> float:
    """Largest absolute difference of a next-token logit between one second of noise and one second of a tone."""
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 16_000).astype(np.float32)
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.float32)
    return float((_next_token_logits(model, noise) - _next_token_logits(model, tone)).abs().max())


@torch.no_grad()
def _next_token_logits(model: AudioLM, clip: Waveform) -> torch.Tensor:
    inputs = [model.render(CONVERSATION, clip)]
    return next_token_logits(model, model.embed(inputs, model.encode_audio(inputs)))
