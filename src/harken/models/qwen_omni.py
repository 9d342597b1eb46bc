"""Qwen2.5-Omni's thinker as an `AudioLM`.

Takes a local folder or Hub id (7B and 3B alike, the full checkpoint or a thinker alone), gives the split model that
GRPO needs. The talker is never loaded and the vision tower is dropped. Not taken: `Qwen2_5OmniProcessor` (its video
part needs torchvision; an audio prompt needs only tokenizer, chat template and feature extractor) and the model's own
position ids (`rope_deltas` survive from one call to the next; an audio-only prompt has plain positions, three equal
rows).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from peft import PeftModel
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoTokenizer,
    Cache,
    DynamicCache,
    PreTrainedTokenizerBase,
    Qwen2_5OmniThinkerConfig,
    WhisperFeatureExtractor,
)

from harken.models.audio_lm import ModelInput
from harken.models.chat_audio import (
    SAMPLE_RATE_HZ,
    ChatAudio,
    audio_tokens,
    check_length,
    head_logits,
    language_model_hidden,
    load_whole,
    save_weights,
    spectrograms,
)
from harken.types import Conversation, Waveform

AUDIO_BOS, AUDIO_TOKEN, AUDIO_EOS = "<|audio_bos|>", "<|AUDIO|>", "<|audio_eos|>"


class Qwen2_5OmniThinkerForConditionalGeneration(transformers.Qwen2_5OmniThinkerForConditionalGeneration):  # noqa: N801
    """The thinker without its vision tower (0.67 B parameters in the 7B), which an audio prompt never calls.

    Dropped while the parameters are still on the meta device, so it is never read from disk into memory. The name is
    the parent's because checkpoints record it.
    """

    _keys_to_ignore_on_load_unexpected = [r"^talker", r"^token2wav", r"visual\."]  # noqa: RUF012

    def __init__(self, config: Qwen2_5OmniThinkerConfig) -> None:
        super().__init__(config)
        _parts_of(self).visual = None

    @classmethod
    def is_custom_code(cls) -> bool:
        """transformers renames published weight names only for its own classes; these are its own."""
        return False


class QwenOmni:
    """See `AudioLM` for what each method promises."""

    arch = "qwen2_5_omni"

    def __init__(
        self,
        module: Qwen2_5OmniThinkerForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
        feature_extractor: WhisperFeatureExtractor,
    ) -> None:
        self.module = module
        self.adapters: PeftModel | None = None
        self.tokenizer = tokenizer
        self.feature_extractor = feature_extractor
        self._chat = ChatAudio(tokenizer, AUDIO_TOKEN, module.config.audio_token_id)
        self.eos_token_ids = self._chat.eos_token_ids(module)
        self.max_samples = int(feature_extractor.n_samples)
        self.min_samples = next(n for n in range(1, SAMPLE_RATE_HZ) if audio_tokens(self._frames(n)) > 0)

    @classmethod
    def load(cls, path: str, dtype: torch.dtype) -> "QwenOmni":
        module = load_whole(
            Qwen2_5OmniThinkerForConditionalGeneration,
            path,
            "Qwen2.5-Omni thinker",
            dtype=dtype,
            attn_implementation="sdpa",
        )
        return cls(module, AutoTokenizer.from_pretrained(path), WhisperFeatureExtractor.from_pretrained(path))

    @classmethod
    def load_without_weights(cls, path: str) -> "QwenOmni":
        config: Any = AutoConfig.from_pretrained(path)
        with torch.device("meta"):
            module = Qwen2_5OmniThinkerForConditionalGeneration(getattr(config, "thinker_config", config))
        return cls(module, AutoTokenizer.from_pretrained(path), WhisperFeatureExtractor.from_pretrained(path))

    @property
    def _tower(self) -> Any:
        return _parts_of(self.module).audio_tower

    @property
    def _language_model(self) -> Any:
        return getattr(self.module.model, "language_model", self.module.model)

    @property
    def device(self) -> torch.device:
        return self.module.lm_head.weight.device

    @property
    def parts(self) -> dict[str, nn.Module]:
        tower = self._tower
        return {"audio_tower": tower, "projector": tower.proj, "language_model": self._language_model}

    def render(self, conversation: Conversation, waveform: Waveform | None) -> ModelInput:
        text = self._chat.render_text(conversation, has_audio=waveform is not None)
        features = None if waveform is None else self._features(waveform)
        ids = self._chat.tokenize(text, 0 if features is None else audio_tokens(features.shape[1]))
        return ModelInput(input_ids=ids, features=features, text=text)

    def prompt_length(self, conversation: Conversation, samples: int | None) -> int:
        text = self._chat.render_text(conversation, has_audio=samples is not None)
        return len(self._chat.tokenize(text, 0 if samples is None else audio_tokens(self._frames(samples))))

    def _frames(self, samples: int) -> int:
        """Mel frames of a clip of so many samples; a frame begun counts."""
        return -(-samples // self.feature_extractor.hop_length)

    def _features(self, waveform: Waveform) -> Tensor:
        """As the model's processor makes them: of the clip followed by silence, cut to the clip's own frames. It pads
        to 300 s; no frame of the clip hears more than one analysis window past its end."""
        check_length(waveform, self.min_samples, self.max_samples)
        silence = np.zeros(self.feature_extractor.n_fft + self.feature_extractor.hop_length, dtype=np.float32)
        mel = spectrograms(self.feature_extractor, [np.concatenate([waveform, silence])], padding="longest")
        return mel[0, :, : self._frames(len(waveform))].clone()

    def encode_audio(self, inputs: Sequence[ModelInput]) -> list[Tensor | None]:
        heard = [one.features for one in inputs if one.features is not None]
        if not heard:
            return self._chat.hand_out(inputs, ())
        lengths = torch.tensor([features.shape[1] for features in heard], device=self.device)
        tower = self._tower
        stacked = torch.cat(heard, dim=1).to(self.device, tower.conv1.weight.dtype)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.audio_trains):
            encoded: Tensor = tower(stacked, feature_lens=lengths).last_hidden_state
        counts = [audio_tokens(features.shape[1]) for features in heard]
        if encoded.shape[0] != sum(counts):
            raise ValueError(f"the audio tower gave {encoded.shape[0]} features where {sum(counts)} were expected")
        return self._chat.hand_out(inputs, encoded.split(counts))

    def embed(self, inputs: Sequence[ModelInput], audio: Sequence[Tensor | None]) -> list[Tensor]:
        return self._chat.embed(inputs, audio, self.embed_tokens, self.device)

    def embed_tokens(self, token_ids: Tensor) -> Tensor:
        return self._language_model.embed_tokens(token_ids)

    def hidden(
        self,
        embeddings: Tensor,
        positions: Tensor,
        mask: Tensor | None,
        cache: Cache | None = None,
        read: Tensor | None = None,
    ) -> Tensor:
        three_rows = positions[None].expand(3, -1, -1)
        return language_model_hidden(self._language_model, embeddings, three_rows, mask, cache, read)

    def logits(self, hidden: Tensor) -> Tensor:
        return head_logits(self.module.lm_head, hidden)

    def new_cache(self) -> Cache:
        config: Any = self.module.config
        return DynamicCache(config=config.text_config)

    def decode(self, token_ids: Sequence[int]) -> str:
        return self._chat.decode(token_ids)

    def encode_answer(self, text: str) -> Tensor:
        return self._chat.encode_answer(text, self.eos_token_ids[0])

    def set_trainable(self, *, audio_tower: bool, projector: bool, language_model: bool) -> None:
        tower = self._tower
        self.module.requires_grad_(False)
        tower.requires_grad_(audio_tower)
        tower.proj.requires_grad_(projector)
        # Never read in audio-only prompts: an embedding for boundaries that the text tokens already mark.
        tower.audio_bos_eos_token.requires_grad_(False)
        self._language_model.requires_grad_(language_model)
        self.module.lm_head.requires_grad_(language_model)

    @property
    def audio_trains(self) -> bool:
        return any(parameter.requires_grad for parameter in self._tower.parameters())

    def save(self, folder: Path, weights: Mapping[str, Tensor] | None = None) -> None:
        save_weights(self.module, self.adapters, folder, weights)
        self.tokenizer.save_pretrained(folder)
        self.feature_extractor.save_pretrained(folder)


def _parts_of(module: Any) -> Any:
    """What holds the towers: `module.model` since transformers moved them there, the module itself in 5.17."""
    return module.model if hasattr(module.model, "audio_tower") else module
