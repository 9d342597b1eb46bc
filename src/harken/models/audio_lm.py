"""The protocol behind which every audio language model stands.

Inference and training call the methods of `AudioLM` and know nothing else about a model: placeholders, positions,
towers and the merging of audio and text are the business of each architecture. Encoding, embedding, hidden states and
logits are separate methods, so that a clip is encoded once for G completions and a packed row shares its prompt.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import Cache

from harken.models.shared_prefix import SharedPrefix
from harken.types import Conversation, Waveform


@dataclass(frozen=True, eq=False, slots=True)
class ModelInput:
    """One prompt as a model reads it, on the CPU.

    Attributes:
        input_ids: [T] int64, with one placeholder token for each audio feature.
        features: [mel bins, F] float32, those of several clips one after another, or None without audio.
        text: the rendered prompt for people, with one placeholder for each clip.
        clip_frames: the frames of each clip; empty where there is one clip or none.
    """

    input_ids: Tensor
    features: Tensor | None
    text: str
    clip_frames: tuple[int, ...] = ()

    @property
    def clips(self) -> Sequence[Tensor]:
        """The features of each clip, [mel bins, F] each."""
        if self.features is None:
            return []
        return self.features.split(self.clip_frames, dim=1) if self.clip_frames else [self.features]

    @property
    def length(self) -> int:
        return self.input_ids.shape[0]


class TowerCache(Protocol):
    """Keeps the output of a tower that does not train."""

    def __call__(self, prompt: ModelInput, encode: Callable[[], Tensor]) -> Tensor:
        """[audio tokens, D] the tower's output for the clips of a prompt, one after another, before the projector.

        Args:
            encode: computes it.
        """
        ...


class AudioLM(Protocol):
    """An audio language model, split where GRPO needs it split."""

    module: nn.Module
    """Owns every parameter and the train/eval switch."""
    adapters: PeftModel | None
    """LoRA adapters inside `module`, or None; see `models/lora.py`."""
    arch: str
    eos_token_ids: tuple[int, ...]
    min_samples: int
    """Samples of the shortest clip that makes one audio token; shorter clips are padded with silence up to it."""
    max_samples: int
    """Samples of the longest clip that the tower takes whole."""

    @property
    def device(self) -> torch.device: ...

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        """The modules audio_tower, projector and language_model. Tower and language model have blocks in `layers`."""
        ...

    def render(self, conversation: Conversation, waveforms: Waveform | Sequence[Waveform] | None) -> ModelInput:
        """Apply chat template, tokenizer and feature extractor. Needs no weights.

        Args:
            waveforms: one for each audio element, in order; the one alone, or None, where there is one or none.

        Raises ValueError where there are more or fewer waveforms than audio elements, where a waveform is outside
        [min_samples, max_samples], or where a text holds a control token.
        """
        ...

    def prompt_length(self, conversation: Conversation, samples: int | Sequence[int] | None) -> int:
        """The number of tokens that `render` gives for the conversation and clips of so many samples; None = no
        clip."""
        ...

    def use_tower_cache(self, cache: TowerCache) -> None:
        """Have `encode_audio` take the output of the tower, which does not train, from a cache."""
        ...

    def encode_audio(self, inputs: Sequence[ModelInput]) -> list[Tensor | None]:
        """Run audio tower and projector once for each prompt: [audio tokens, H] each, those of several clips one after
        another; None for a prompt without audio.

        Raises ValueError unless the number of features equals the number of placeholder tokens of that prompt.
        The result carries a graph where gradients are enabled and the tower or the projector trains.
        """
        ...

    def embed(self, inputs: Sequence[ModelInput], audio: Sequence[Tensor | None]) -> list[Tensor]:
        """Token embeddings with the audio features in the places of their placeholders: [T, H] each."""
        ...

    def embed_tokens(self, token_ids: Tensor) -> Tensor:
        """[...] int64 -> [..., H]."""
        ...

    def hidden(
        self,
        embeddings: Tensor,
        positions: Tensor,
        mask: Tensor | SharedPrefix | None,
        cache: Cache | None = None,
        read: Tensor | None = None,
    ) -> Tensor:
        """Run the language model without its head: [B, T, H].

        Args:
            embeddings: [B, T, H].
            positions: [B, T] int64, always given, never inferred.
            mask: [B, 1, T, T + cached] bool, True = may attend. None = each token attends to itself and to all before
                it, which has faster kernels; only for a single token, or with nothing cached. A SharedPrefix = packed
                rows whose completions are long; only with nothing cached.
            cache: extended in place; only in eval mode.
            read: [N] places in the flattened [B * T] that the caller reads; other places may hold anything. None = all.
        """
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., H] -> [..., V], at least float32."""
        ...

    def token_scores(self, hidden: Tensor, targets: Tensor, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
        """The log-probability of each target under softmax(logits / temperature), with gradients, and the entropy of
        each row, without: [N] each, at least float32. The logits of many rows are never there at once.

        Args:
            hidden: [N, H].
            targets: [N] int64.
        """
        ...

    def new_cache(self) -> Cache: ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of a completion, without special tokens."""
        ...

    def encode_answer(self, text: str) -> Tensor:
        """[L] int64: the tokens of a completion with this text, its end-of-sequence token included."""
        ...

    def set_trainable(self, *, audio_tower: bool, projector: bool, language_model: bool, router: bool = True) -> None:
        """Args:
        router: whether the routers of a mixture of experts train with the language model.
        """
        ...

    @property
    def routers(self) -> Sequence[nn.Module]:
        """The module of each block that chooses experts; none in a model without experts."""
        ...

    @property
    def audio_trains(self) -> bool:
        """Whether the tower or the projector has a parameter that requires gradients."""
        ...

    def save(self, folder: Path, weights: Mapping[str, Tensor] | None = None) -> None:
        """Write weights, config, tokenizer, chat template and feature extractor in Hugging Face layout.

        Args:
            weights: a state dict of the module, or of the adapters, to be written in place of their own.
        """
        ...
