"""The thinker of Qwen3-Omni-MoE (Qwen/Qwen3-Omni-30B-A3B-Instruct and -Thinking) as an `AudioLM`.

Loads the full checkpoint or a thinker alone, without talker and vision tower. The language model has a router and 128
experts in each block, of which each token takes 8. The projector is the last layer of the audio tower, `proj2`.
"""

from collections.abc import Sequence
from typing import Any

import transformers
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Qwen3OmniMoeThinkerConfig, WhisperFeatureExtractor

from harken.models.audio_features import spectrograms, split_by_clip
from harken.models.convolved_tower import audio_tokens_of, encode_seconds
from harken.models.experts import use_grouped_experts
from harken.models.qwen_omni import QwenOmni, owner_of_towers
from harken.types import Waveform


class Qwen3OmniMoeThinkerForConditionalGeneration(transformers.Qwen3OmniMoeThinkerForConditionalGeneration):
    """The thinker without its vision tower, as that of Qwen2.5-Omni."""

    _keys_to_ignore_on_load_unexpected = [r"^talker", r"^code2wav", r"visual\."]  # noqa: RUF012

    def __init__(self, config: Qwen3OmniMoeThinkerConfig) -> None:
        super().__init__(config)
        owner_of_towers(self).visual = None

    @classmethod
    def is_custom_code(cls) -> bool:
        return False


class Qwen3Omni(QwenOmni):
    """See `AudioLM` for what each method promises."""

    arch = "qwen3_omni_moe"
    module_class = Qwen3OmniMoeThinkerForConditionalGeneration
    text_model_types = frozenset({"qwen3_omni_moe_text"})
    masks_by_kind = False
    audio_token = "<|audio_pad|>"

    def __init__(
        self, module: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, feature_extractor: WhisperFeatureExtractor
    ) -> None:
        super().__init__(module, tokenizer, feature_extractor)
        use_grouped_experts(self.parts["language_model"])

    @property
    def parts(self) -> dict[str, nn.Module]:
        tower: Any = owner_of_towers(self.module).audio_tower
        model: Any = self.module.model
        return {
            "audio_tower": tower,
            "projector": tower.proj2,
            "language_model": getattr(model, "language_model", model),
        }

    @property
    def _fixed_parts(self) -> list[nn.Module]:
        return []

    def _count_audio_tokens(self, samples: int) -> int:
        return self._tokens_of(samples // self.feature_extractor.hop_length)

    def _tokens_of(self, frames: int) -> int:
        tower: Any = self.parts["audio_tower"]
        return audio_tokens_of(frames, 2 * tower.n_window)

    def _features(self, waveform: Waveform) -> Tensor:
        """The features that the model's own processor makes of a clip alone. A frame that has only begun does not
        count."""
        return spectrograms(self.feature_extractor, [waveform], padding="longest")[0]

    def _tower(self, clips: Sequence[Tensor]) -> Sequence[Tensor]:
        encoded = encode_seconds(self.parts["audio_tower"], clips, self.device)
        return split_by_clip(encoded, [self._tokens_of(features.shape[1]) for features in clips])
