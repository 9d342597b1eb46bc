"""What all models with Whisper's encoder as their tower share: their modules are laid out as those of Qwen2-Audio."""

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
