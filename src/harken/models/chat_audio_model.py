"""What all architectures share: the base class behind which a chat model with an audio tower is an `AudioLM`.

A model's own file adds what differs: how clips become features, how tower and projector encode them, and which files
it saves.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, WhisperFeatureExtractor

from harken.errors import CheckpointError
from harken.models.audio_features import check_clip_length, count_audio_tokens, count_frames, shortest_clip
from harken.models.audio_lm import ModelInput, TowerCache
from harken.models.chat_tokens import ChatTokens
from harken.models.experts import routers
from harken.models.language_model import LanguageModelMethods
from harken.models.shared_prefix import use_shared_prefix
from harken.models.weights import load_weights, save_weights
from harken.types import Conversation, Waveform


class ChatAudioModel(LanguageModelMethods):
    """See `AudioLM` for what each public method promises.

    Args:
        audio_token: the placeholder that the chat template writes for a clip.
        max_samples: samples of the longest clip that the tower takes whole.
        around_clips: what the model's processor writes before and after the placeholders of a clip.

    Attributes:
        module_class: transformers' class of the architecture.
        attn_implementation: the attention that it is loaded with. The mask of `hidden` needs sdpa in the language
            model; a tower that is not named here keeps the attention that it was trained with.
        text_model_types: values of `text_config.model_type`; a language model of another family is refused.
    """

    arch: ClassVar[str]
    module_class: ClassVar[type[PreTrainedModel]]
    attn_implementation: ClassVar[str | dict[str, str]] = {"text_config": "sdpa"}
    text_model_types: ClassVar[frozenset[str]] = frozenset({"qwen2"})

    def __init__(
        self,
        module: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        feature_extractor: WhisperFeatureExtractor,
        audio_token: str,
        max_samples: int,
        around_clips: tuple[str, str] = ("", ""),
    ) -> None:
        config: Any = module.config
        if max_samples < feature_extractor.sampling_rate:
            raise CheckpointError(
                f"preprocessor_config.json takes clips of at most {max_samples:,} samples, less than a second; fetch "
                "it again"
            )
        self.module = module
        self.adapters: PeftModel | None = None
        self._tower_cache: TowerCache | None = None
        self.tokenizer, self.feature_extractor = tokenizer, feature_extractor
        self._chat = ChatTokens(tokenizer, audio_token, config.audio_token_id, around_clips)
        self.eos_token_ids = self._chat.eos_token_ids(module)
        self.min_samples = shortest_clip(feature_extractor.hop_length)
        self.max_samples = max_samples
        use_shared_prefix(self._language_model)

    @classmethod
    @abstractmethod
    def with_module(cls, module: Any, path: str) -> Self:
        """Put a module together with the tokenizer and feature extractor of the checkpoint at `path`."""

    @property
    @abstractmethod
    def _fixed_parts(self) -> Sequence[nn.Module]:
        """Modules inside the tower whose parameters never train."""

    @abstractmethod
    def _features(self, waveform: Waveform) -> Tensor:
        """[mel bins, F] float32."""

    @abstractmethod
    def _tower(self, clips: Sequence[Tensor]) -> Sequence[Tensor]:
        """Features of several clips through the tower, without the projector: [audio tokens, D] each."""

    @abstractmethod
    def _save_processors(self, folder: Path) -> None:
        """Write tokenizer, chat template and feature extractor."""

    @classmethod
    def load(cls, path: str, dtype: torch.dtype) -> Self:
        """Load the checkpoint at a local folder or Hub id, onto the CPU."""
        module = load_weights(cls.module_class, path, dtype=dtype, attn_implementation=cls.attn_implementation)
        return cls.with_module(module, path)._with_working_features()

    @classmethod
    def load_without_weights(cls, path: str) -> Self:
        """Load everything but the weights, which stay on the meta device."""
        module_class: Any = cls.module_class
        config = module_class.config_class.from_pretrained(path)
        with torch.device("meta"):
            module = module_class(config)
        return cls.with_module(module, path)._with_working_features()

    def _with_working_features(self) -> Self:
        """Try the feature extractor, whose settings are other people's: what it raises is then about the checkpoint and
        not about a clip. Raises CheckpointError where features are no finite numbers in the tower's mel bins."""
        features = self._features(np.zeros(4 * self.min_samples, dtype=np.float32))
        bins = self.feature_extractor.feature_size
        if features.ndim != 2 or features.shape[0] != bins or not bool(features.isfinite().all()):
            raise CheckpointError(f"preprocessor_config.json makes features of shape {[*features.shape]}; restore it")
        return self

    def _count_audio_tokens(self, samples: int) -> int:
        return count_audio_tokens(count_frames(samples, self.feature_extractor.hop_length))

    def render(self, conversation: Conversation, waveforms: Waveform | Sequence[Waveform] | None) -> ModelInput:
        clips = [waveforms] if isinstance(waveforms, np.ndarray) else list(waveforms or ())
        text = self._chat.render_text(conversation, len(clips))
        for waveform in clips:
            check_clip_length(waveform, self.min_samples, self.max_samples)
        ids = self._chat.tokenize(text, [self._count_audio_tokens(len(waveform)) for waveform in clips])
        features = [self._features(waveform) for waveform in clips]
        if len(features) < 2:
            return ModelInput(ids, features[0] if features else None, text)
        return ModelInput(ids, torch.cat(features, dim=1), text, tuple(clip.shape[1] for clip in features))

    def prompt_length(self, conversation: Conversation, samples: int | Sequence[int] | None) -> int:
        clips = [samples] if isinstance(samples, int) else list(samples or ())
        text = self._chat.render_text(conversation, len(clips))
        return self._chat.count(text, [self._count_audio_tokens(clip) for clip in clips])

    def encode_audio(self, inputs: Sequence[ModelInput]) -> list[Tensor | None]:
        audible = [prompt for prompt in inputs if prompt.features is not None]
        encoded: Iterator[Tensor] = iter(())
        if audible:
            with torch.set_grad_enabled(torch.is_grad_enabled() and self.audio_trains):
                encoded = iter(self._encode(audible) if self._tower_cache is None else self._encode_cached(audible))
        audio = [None if prompt.features is None else next(encoded) for prompt in inputs]
        for prompt, features in zip(inputs, audio, strict=True):
            self._check_placeholders(prompt, features)
        return audio

    def use_tower_cache(self, cache: TowerCache) -> None:
        self._tower_cache = cache

    def _encode(self, inputs: Sequence[ModelInput]) -> Sequence[Tensor]:
        """Prompts with clips -> [audio tokens, H] each, all clips in one pass."""
        states = self._tower([clip for prompt in inputs for clip in prompt.clips])
        pieces = iter(self.parts["projector"](torch.cat(list(states))).split([len(clip) for clip in states]))
        return [torch.cat([next(pieces) for _ in prompt.clips]) for prompt in inputs]

    def _encode_cached(self, inputs: Sequence[ModelInput]) -> Sequence[Tensor]:
        """As `_encode`, with the tower's output from the cache. Each prompt is computed alone, so that no result
        depends on what the cache holds already."""
        cache = self._tower_cache
        assert cache is not None
        return [
            self.parts["projector"](cache(prompt, lambda prompt=prompt: torch.cat(list(self._tower(prompt.clips)))))
            for prompt in inputs
        ]

    def embed(self, inputs: Sequence[ModelInput], audio: Sequence[Tensor | None]) -> list[Tensor]:
        embedded = []
        for prompt, features in zip(inputs, audio, strict=True):
            self._check_placeholders(prompt, features)
            ids = prompt.input_ids.to(self.device)
            tokens = self.embed_tokens(ids)
            if features is not None:
                places = (ids == self._chat.audio_token_id)[:, None].expand_as(tokens)
                tokens = tokens.masked_scatter(places, features.to(tokens.dtype))
            embedded.append(tokens)
        return embedded

    def _check_placeholders(self, prompt: ModelInput, audio: Tensor | None) -> None:
        placeholders = int((prompt.input_ids == self._chat.audio_token_id).sum())
        features = 0 if audio is None else audio.shape[0]
        if placeholders != features:
            raise ValueError(
                f"{features} audio features for {placeholders} audio tokens in the prompt {prompt.text[:80]!r}"
            )

    def decode(self, token_ids: Sequence[int]) -> str:
        return self._chat.decode(token_ids)

    def encode_answer(self, text: str) -> Tensor:
        return self._chat.encode_answer(text, self.eos_token_ids[0])

    def set_trainable(self, *, audio_tower: bool, projector: bool, language_model: bool, router: bool = True) -> None:
        self.module.requires_grad_(False)
        self.parts["audio_tower"].requires_grad_(audio_tower)
        self.parts["projector"].requires_grad_(projector)  # after the tower, which holds the projector in some models
        for part in self._fixed_parts:
            part.requires_grad_(False)
        self._language_model.requires_grad_(language_model)
        for part in self.routers:
            part.requires_grad_(language_model and router)
        self._head.requires_grad_(language_model)

    @property
    def routers(self) -> list[nn.Module]:
        return routers(self._language_model)

    @property
    def audio_trains(self) -> bool:
        parts = (self.parts["audio_tower"], self.parts["projector"])
        return any(parameter.requires_grad for part in parts for parameter in part.parameters())

    def save(self, folder: Path, weights: Mapping[str, Tensor] | None = None) -> None:
        save_weights(self.module, self.adapters, folder, weights)
        self._save_processors(folder)
