"""The thinker of Qwen2.5-Omni (7B and 3B) as an `AudioLM`.

Loads the full checkpoint or a thinker alone. The talker is never loaded, and the vision tower is dropped.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import transformers
from torch import Tensor, nn
from transformers import (
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2_5OmniThinkerConfig,
    WhisperFeatureExtractor,
)

from harken.models.audio_features import count_audio_tokens, count_frames, spectrograms, split_by_clip
from harken.models.chat_audio_model import ChatAudioModel
from harken.models.chat_template import choose_chat_template
from harken.models.chunked_tower import encode_chunks, use_chunked_attention
from harken.types import Waveform

AUDIO_BOS, AUDIO_TOKEN, AUDIO_EOS = "<|audio_bos|>", "<|AUDIO|>", "<|audio_eos|>"


class Qwen2_5OmniThinkerForConditionalGeneration(transformers.Qwen2_5OmniThinkerForConditionalGeneration):  # noqa: N801
    """The thinker without its vision tower (0.67 B parameters in the 7B), which an audio prompt never calls.

    The tower is dropped while the parameters are still on the meta device, so it is never read from disk. The class has
    its parent's name because checkpoints record it.
    """

    _keys_to_ignore_on_load_unexpected = [r"^talker", r"^token2wav", r"visual\."]  # noqa: RUF012

    def __init__(self, config: Qwen2_5OmniThinkerConfig) -> None:
        super().__init__(config)
        owner_of_towers(self).visual = None

    @classmethod
    def is_custom_code(cls) -> bool:
        """False, because transformers renames published weights only for its own classes, and these are its own."""
        return False


class QwenOmni(ChatAudioModel):
    """See `AudioLM` for what each method promises.

    Attributes:
        audio_token: the placeholder that the chat template writes for a clip.
    """

    arch = "qwen2_5_omni"
    module_class = Qwen2_5OmniThinkerForConditionalGeneration
    attn_implementation = "sdpa"
    text_model_types = frozenset({"qwen2_5_omni_text"})
    audio_token: ClassVar[str] = AUDIO_TOKEN

    def __init__(
        self,
        module: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        feature_extractor: WhisperFeatureExtractor,
    ) -> None:
        super().__init__(module, tokenizer, feature_extractor, self.audio_token, int(feature_extractor.n_samples))
        use_chunked_attention(self.parts["audio_tower"])

    @classmethod
    def with_module(cls, module: Any, path: str) -> Self:
        tokenizer = AutoTokenizer.from_pretrained(path)
        choose_chat_template(path, tokenizer, cls.audio_token)
        return cls(module, tokenizer, WhisperFeatureExtractor.from_pretrained(path))

    @property
    def parts(self) -> dict[str, nn.Module]:
        tower, model = owner_of_towers(self.module).audio_tower, self.module.model
        language_model: Any = getattr(model, "language_model", model)
        return {"audio_tower": tower, "projector": tower.proj, "language_model": language_model}

    @property
    def _fixed_parts(self) -> list[nn.Module]:
        tower: Any = self.parts["audio_tower"]
        # An embedding of the clip's boundaries, which audio prompts mark by text tokens instead; never read.
        return [tower.audio_bos_eos_token]

    def _features(self, waveform: Waveform) -> Tensor:
        """The features that the model's own processor makes. It pads a clip to 300 s; here one analysis window and one
        frame of silence follow the clip, which is as far as its frames see, and only the clip's frames are kept."""
        extractor = self.feature_extractor
        silence = np.zeros(extractor.n_fft + extractor.hop_length, dtype=np.float32)
        mel = spectrograms(extractor, [np.concatenate([waveform, silence])], padding="longest")
        return mel[0, :, : count_frames(len(waveform), extractor.hop_length)].clone()

    def _tower(self, clips: Sequence[Tensor]) -> Sequence[Tensor]:
        encoded = encode_chunks(self.parts["audio_tower"], clips, self.device)
        return split_by_clip(encoded, [count_audio_tokens(features.shape[1]) for features in clips])

    def _position_ids(self, positions: Tensor) -> Tensor:
        """Three equal rows: an audio prompt has the same position in time, height and width."""
        return positions[None].expand(3, -1, -1)

    def _save_processors(self, folder: Path) -> None:
        self.tokenizer.save_pretrained(folder)
        self.feature_extractor.save_pretrained(folder)


def owner_of_towers(module: Any) -> Any:
    """The module that holds the towers: `module.model` in newer transformers, the thinker itself in 5.17."""
    return module.model if hasattr(module.model, "audio_tower") else module
