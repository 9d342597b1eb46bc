"""The one Protocol behind which every audio language model stands.

Takes conversations and waveforms, gives embeddings, hidden states and logits. Everything that differs between
architectures (placeholders, merging, positions, towers) is behind it; rollout, scoring and training know nothing else.
Not taken: a single `forward(**batch)` as transformers has it. Splitting encode, embed, hidden and logits is what lets a
clip be encoded once for G completions and lets the packed row reuse its prompt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import Cache, PreTrainedTokenizerBase

from harken.errors import DataError
from harken.types import Conversation, Waveform


@dataclass(frozen=True, eq=False, slots=True)
class ModelInput:
    """One prompt as one model reads it, on the CPU.

    Attributes:
        input_ids: [T] int64, every audio position present as a placeholder token.
        features: [mel bins, F] float32, or None without audio.
        text: the rendered prompt, placeholders not expanded, for people.
    """

    input_ids: Tensor
    features: Tensor | None
    text: str

    @property
    def length(self) -> int:
        return self.input_ids.shape[0]


class AudioLM(Protocol):
    """An audio language model, split where GRPO needs it split."""

    module: nn.Module
    """Owns every parameter and the train/eval switch."""
    adapters: PeftModel | None
    """LoRA adapters inside `module`, None without; see `models/lora.py`."""
    arch: str
    eos_token_ids: tuple[int, ...]
    min_samples: int
    """Shortest clip that makes one audio token; shorter clips are padded with silence up to it."""
    max_samples: int
    """Longest clip the tower hears whole."""

    @property
    def device(self) -> torch.device: ...

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        """The modules named audio_tower, projector and language_model; both of the former's blocks are in `layers`."""
        ...

    def render(self, conversation: Conversation, waveform: Waveform | None) -> ModelInput:
        """Chat template, tokenizer and feature extractor; no weights.

        Raises ValueError where the conversation has an audio element and there is no waveform or the other way round,
        where the waveform is outside [min_samples, max_samples], or where a text holds a control token.
        """
        ...

    def prompt_length(self, conversation: Conversation, samples: int | None) -> int:
        """Tokens that `render` would make of the conversation and a clip of so many samples; None = no clip."""
        ...

    def encode_audio(self, inputs: Sequence[ModelInput]) -> list[Tensor | None]:
        """Audio tower and projector, once per prompt: [audio tokens, H] each, None for a prompt without audio.

        Raises ValueError unless the number of features equals the number of placeholder tokens of that prompt.
        Carries a graph where gradients are enabled and the tower or the projector trains.
        """
        ...

    def embed(self, inputs: Sequence[ModelInput], audio: Sequence[Tensor | None]) -> list[Tensor]:
        """Token embeddings with the audio features put in their places: [T, H] each."""
        ...

    def embed_tokens(self, token_ids: Tensor) -> Tensor:
        """[...] int64 -> [..., H]."""
        ...

    def hidden(
        self,
        embeddings: Tensor,
        positions: Tensor,
        mask: Tensor | None,
        cache: Cache | None = None,
        read: Tensor | None = None,
    ) -> Tensor:
        """The language model without its head, [B, T, H].

        Args:
            embeddings: [B, T, H].
            positions: [B, T] int64, always given, never inferred.
            mask: [B, 1, T, T + cached] bool, True = may attend. None: to itself and all before it, which has faster
                kernels; for one token, or with nothing cached.
            cache: extended in place; only in eval mode.
            read: [N] places in the flattened [B * T] that are looked at; what is at others may be anything. None: all.
        """
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., H] -> [..., V], at least float32."""
        ...

    def new_cache(self) -> Cache: ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of a completion, special tokens left out."""
        ...

    def encode_answer(self, text: str) -> Tensor:
        """[L] int64: the tokens of a completion that says `text`, its end-of-sequence token included."""
        ...

    def set_trainable(self, *, audio_tower: bool, projector: bool, language_model: bool) -> None: ...

    @property
    def audio_trains(self) -> bool:
        """Whether the tower or the projector has a parameter that requires gradients."""
        ...

    def save(self, folder: Path, weights: Mapping[str, Tensor] | None = None) -> None:
        """Hugging Face layout: weights, config, tokenizer, chat template, feature extractor.

        Args:
            weights: state dict of the module, or of the adapters, in the place of their own.
        """
        ...


def refuse_control_tokens(conversation: Conversation, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise DataError where a text of the conversation spells a control token: questions are data, and one that says
    `<|im_end|>` would end its own turn. (`all_special_tokens` holds only those that have a role in the tokenizer.)"""
    added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
    control = sorted({*tokenizer.all_special_tokens, *added})
    for message in conversation:
        content = message["content"]
        texts = [content] if isinstance(content, str) else [part.get("text", "") for part in content]
        for token in control:
            if any(token in text for text in texts):
                raise DataError(f"the text holds the control token {token!r}")
