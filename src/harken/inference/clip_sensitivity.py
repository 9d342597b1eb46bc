"""Whether a model's next token depends on the clip at all, which `harken doctor` reports."""

import numpy as np

from harken.inference.trial_pass import logits_after_clip
from harken.models.audio_lm import AudioLM


def logit_change_between_clips(model: AudioLM) -> float:
    """Largest absolute difference of a next-token logit between one second of noise and one second of a tone."""
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 16_000).astype(np.float32)
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.float32)
    return float((logits_after_clip(model, noise) - logits_after_clip(model, tone)).abs().max())
