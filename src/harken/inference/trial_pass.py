"""A first pass of a model over one prompt, before data are read and work begins.

transformers makes a model of many wrong values in a config.json, and fails when the model computes. The trial finds
this while nothing is lost yet. It draws no random number and changes nothing in the model.
"""

import numpy as np
import torch

from harken.errors import CheckpointError, HarkenError, raised
from harken.inference.prefill import next_token_logits
from harken.models.architectures import resolve_checkpoint
from harken.models.audio_lm import AudioLM
from harken.types import Waveform

CONVERSATION = [
    {"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "What is heard in the audio?"}]}
]


def refuse_what_cannot_compute(model: AudioLM, path: str) -> AudioLM:
    """The model, after it has read a prompt with a quarter of a second of silence.

    Args:
        path: the checkpoint, for the message.

    Raises CheckpointError where the model fails, HarkenError where the prompt cannot be made.
    """
    try:
        samples = min(max(4_000, model.min_samples), model.max_samples)
        logits_after_clip(model, np.zeros(samples, np.float32))
    except (HarkenError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # other people's files: what torch raises for wrong sizes is of every kind
        reason = " ".join(raised(error).split())
        raise CheckpointError(
            f"{resolve_checkpoint(path)}: the model cannot compute ({reason[:600]}); its config.json does not fit its "
            "architecture or its weights; fetch the checkpoint again"
        ) from error
    return model


@torch.no_grad()
def logits_after_clip(model: AudioLM, clip: Waveform) -> torch.Tensor:
    """[1, V] logits of the first token of an answer to a question about the clip."""
    inputs = [model.render(CONVERSATION, clip)]
    return next_token_logits(model, model.embed(inputs, model.encode_audio(inputs)))
