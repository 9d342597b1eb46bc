"""The base class of the models whose audio tower is Whisper's encoder: Qwen2-Audio, the Audio Flamingos and Voxtral.

Their modules have the same names, so the class says where tower, projector and language model are, and which part of
the tower never trains.
"""

from typing import Any

from torch import nn

from harken.models.chat_audio_model import ChatAudioModel


class WhisperTowerModel(ChatAudioModel):
    """See `AudioLM` and `ChatAudioModel`."""

    @property
    def parts(self) -> dict[str, nn.Module]:
        module: Any = self.module
        return {
            "audio_tower": module.model.audio_tower,
            "projector": module.model.multi_modal_projector,
            "language_model": module.model.language_model,
        }

    @property
    def _fixed_parts(self) -> list[nn.Module]:
        tower: Any = self.parts["audio_tower"]
        return [tower.embed_positions]  # sinusoids, which are parameters in name only
