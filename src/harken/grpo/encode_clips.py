"""Encodes the clips of a step: all together, or in halves where memory does not suffice."""

from collections.abc import Callable, Sequence

from torch import Tensor

from harken.grpo.encoded_clips import EncodedClips
from harken.grpo.micro_batch import PromptBatch
from harken.grpo.out_of_memory import halve_until_it_fits
from harken.models.audio_lm import ModelInput
from harken.system.ranks import SINGLE_PROCESS, Ranks

EncodeAudio = Callable[[Sequence[ModelInput]], list[Tensor | None]]
"""A function with the signature of `AudioLM.encode_audio`."""


def encode_clips(
    encode_audio: EncodeAudio, prompts: PromptBatch, warn: Callable[[str], None], ranks: Ranks | None = None
) -> EncodedClips:
    """Encode the clips of all prompts together, or in halves where memory does not suffice.

    Args:
        ranks: all ranks, where the encoder trains on several: they must go backward through it equally often.
    """
    batches = [prompts]
    return EncodedClips(
        halve_until_it_fits(
            batches,
            lambda: [clip for batch in batches for clip in encode_audio(batch.inputs)],
            warn=warn,
            ranks=ranks or SINGLE_PROCESS,
            advice="set model.train_audio_tower: false or fewer questions a step, or see `harken plan`",
        )
    )
