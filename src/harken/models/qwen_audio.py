"""Qwen2-Audio as an `AudioLM`.

Takes a local folder or Hub id (7B-Instruct), gives the split model that GRPO needs. The tower always runs on its whole
window, 30 s as published, and masks the padding. Not taken: the model's own merging (it guesses from the token ids
whether placeholders are expanded, and takes a clip of one audio token for the old, unexpanded form) and the tokenizer's
own chat template (the published one knows text only; the processor's writes audio elements).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    Cache,
    DynamicCache,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
)
from transformers.masking_utils import create_bidirectional_mask

from harken.models.audio_lm import ModelInput
from harken.models.chat_audio import (
    ChatAudio,
    check_length,
    head_logits,
    language_model_hidden,
    load_whole,
    save_weights,
)
from harken.models.whisper_windows import WhisperWindows
from harken.types import Conversation, Waveform


class QwenAudio:
    """See `AudioLM` for what each method promises."""

    arch = "qwen2_audio"

    def __init__(self, module: Qwen2AudioForConditionalGeneration, processor: Qwen2AudioProcessor) -> None:
        config: Any = module.config
        self.module = module
        self.adapters: PeftModel | None = None
        self.processor = processor
        # The tokenizer's own template, where it differs, knows text only.
        processor.tokenizer.chat_template = processor.chat_template
        self._chat = ChatAudio(processor.tokenizer, processor.audio_token, config.audio_token_id)
        self._windows = WhisperWindows(processor.feature_extractor, config.audio_config.max_source_positions)
        self.eos_token_ids = self._chat.eos_token_ids(module)
        self.min_samples = self._windows.min_samples
        self.max_samples = self._windows.samples

    @classmethod
    def load(cls, path: str, dtype: torch.dtype) -> "QwenAudio":
        # The mask that `hidden` is given needs sdpa; the tower keeps what it was trained with.
        module = load_whole(
            Qwen2AudioForConditionalGeneration,
            path,
            "Qwen2-Audio",
            dtype=dtype,
            attn_implementation={"text_config": "sdpa"},
        )
        return cls(module, Qwen2AudioProcessor.from_pretrained(path))

    @classmethod
    def load_without_weights(cls, path: str) -> "QwenAudio":
        config: Any = AutoConfig.from_pretrained(path)
        with torch.device("meta"):
            module = Qwen2AudioForConditionalGeneration(config)
        return cls(module, Qwen2AudioProcessor.from_pretrained(path))

    @property
    def device(self) -> torch.device:
        return self.module.lm_head.weight.device

    @property
    def parts(self) -> dict[str, nn.Module]:
        model = self.module.model
        return {
            "audio_tower": model.audio_tower,
            "projector": model.multi_modal_projector,
            "language_model": model.language_model,
        }

    def render(self, conversation: Conversation, waveform: Waveform | None) -> ModelInput:
        text = self._chat.render_text(conversation, has_audio=waveform is not None)
        if waveform is None:
            return ModelInput(input_ids=self._chat.tokenize(text, 0), features=None, text=text)
        check_length(waveform, self.min_samples, self.max_samples)
        ids = self._chat.tokenize(text, self._windows.audio_tokens(len(waveform)))
        return ModelInput(input_ids=ids, features=self._windows.features(waveform), text=text)

    def prompt_length(self, conversation: Conversation, samples: int | None) -> int:
        text = self._chat.render_text(conversation, has_audio=samples is not None)
        return len(self._chat.tokenize(text, 0 if samples is None else self._windows.audio_tokens(samples)))

    def encode_audio(self, inputs: Sequence[ModelInput]) -> list[Tensor | None]:
        heard = [one.features for one in inputs if one.features is not None]
        if not heard:
            return self._chat.hand_out(inputs, ())
        model, tower = self.module.model, self.module.model.audio_tower
        windows, frames = (part.to(self.device) for part in self._windows.windows(heard))
        windows = windows.to(tower.conv1.weight.dtype)
        positions = torch.arange(self._windows.frames // 2, device=self.device)
        keys = positions < (frames.sum(1, keepdim=True) - 1) // 2 + 1
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.audio_trains):
            mask = create_bidirectional_mask(
                config=tower.config, inputs_embeds=windows.new_zeros(*keys.shape, 1), attention_mask=keys
            )
            encoded = model.multi_modal_projector(tower(windows, attention_mask=mask).last_hidden_state)
        counts = [self._windows.audio_tokens_of(features) for features in heard]
        return self._chat.hand_out(inputs, (row[:count] for row, count in zip(encoded, counts, strict=True)))

    def embed(self, inputs: Sequence[ModelInput], audio: Sequence[Tensor | None]) -> list[Tensor]:
        return self._chat.embed(inputs, audio, self.embed_tokens, self.device)

    def embed_tokens(self, token_ids: Tensor) -> Tensor:
        return self.module.model.language_model.embed_tokens(token_ids)

    def hidden(
        self,
        embeddings: Tensor,
        positions: Tensor,
        mask: Tensor | None,
        cache: Cache | None = None,
        read: Tensor | None = None,
    ) -> Tensor:
        return language_model_hidden(self.module.model.language_model, embeddings, positions, mask, cache, read)

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
        model = self.module.model
        self.module.requires_grad_(False)
        model.audio_tower.requires_grad_(audio_tower)
        model.audio_tower.embed_positions.requires_grad_(False)  # fixed sinusoids, a parameter in name only
        model.multi_modal_projector.requires_grad_(projector)
        model.language_model.requires_grad_(language_model)
        self.module.lm_head.requires_grad_(language_model)

    @property
    def audio_trains(self) -> bool:
        parts = (self.module.model.audio_tower, self.module.model.multi_modal_projector)
        return any(parameter.requires_grad for part in parts for parameter in part.parameters())

    def save(self, folder: Path, weights: Mapping[str, Tensor] | None = None) -> None:
        save_weights(self.module, self.adapters, folder, weights)
        self.processor.save_pretrained(folder)
        # The processor's file holds it too, but the published checkpoint and other programs have it by itself.
        self.processor.feature_extractor.save_pretrained(folder)
